/** What a correlation counts, read from its rule's text: the server explains conditions only. */
import { parse } from 'yaml';

/** What a correlation counts. */
export interface Correlation {
  type: string;
  rules: string[];
  groupBy: string[];
  timespan: string;
  condition: string;
}

type Mapping = Record<string, unknown>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function texts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(texts);
  if (value === undefined) return [];
  return [value === null ? 'null' : typeof value === 'object' ? JSON.stringify(value) : String(value)];
}

/** Reads a rule's text; `null` when it is no correlation. */
export function correlationOf(text: string): Correlation | null {
  let rule: unknown;
  try {
    rule = parse(text, { maxAliasCount: 20 });
  } catch {
    return null;
  }
  if (!isMapping(rule) || !isMapping(rule.correlation)) return null;
  const { type, rules, 'group-by': groupBy, timespan, condition } = rule.correlation;
  return {
    type: texts(type).join(' '),
    rules: texts(rules),
    groupBy: texts(groupBy),
    timespan: texts(timespan).join(' '),
    condition: isMapping(condition) ? conditionText(condition) : texts(condition).join(' '),
  };
}

const SIGNS: Record<string, string> = { gt: '>', gte: '≥', lt: '<', lte: '≤', eq: '=', neq: '≠' };

/** `hostname ≥ 3`: of which field, and how many of its values. */
function conditionText({ field, ...limits }: Mapping): string {
  const counted = Object.entries(limits).map(
    ([name, value]) => `${SIGNS[name] ?? name} ${texts(value).join(' ')}`,
  );
  return [texts(field).join(', '), counted.join(', ')].filter(Boolean).join(' ');
}

const SPAN_UNITS = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week' } as const;

/** A span as Sigma writes it: `30m`; `null` where it is written otherwise. */
export function spanOfText(
  text: string,
): { value: number; unit: 'second' | 'minute' | 'hour' | 'day' | 'week' } | null {
  const [, digits, letter] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const unit = letter && SPAN_UNITS[letter as keyof typeof SPAN_UNITS];
  return unit ? { value: Number(digits), unit } : null;
}
