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
    condition: isMapping(condition)
      ? Object.entries(condition)
          .map(([name, value]) => `${name} ${texts(value).join(' ')}`)
          .join(', ')
      : texts(condition).join(' '),
  };
}
