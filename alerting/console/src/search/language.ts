/**
 * The query language of the search line, as far as the page must understand it: to complete what is typed, to add
 * conditions to it, to mark what was looked for. The server reads it in full and says what is wrong.
 */

/** Names that stand for columns of the store; any other name is a field of the record. */
export const COLUMNS = [
  'unit',
  'host',
  'user',
  'process',
  'parent_process',
  'command_line',
  'action',
  'outcome',
  'event_code',
  'url',
  'hash',
  'product',
  'category',
  'service',
  'format',
  'agent',
  'stream',
  'src_ip',
  'source_address',
  'dst_ip',
  'destination_address',
  'ip',
  'src_port',
  'source_port',
  'dst_port',
  'destination_port',
] as const;

/** Before the name of a record's own field where a column has the same name. */
const OWN_FIELD = 'fields.';

export const OPERATORS = ['and', 'or', 'not'] as const;
type Operator = (typeof OPERATORS)[number];

export interface Token {
  kind: 'open' | 'close' | 'word' | 'name' | Operator;
  /** Of a word without its quotes, of a name without its colon. */
  text: string;
  start: number;
  end: number;
}

/** The parts of a line. A quote that is not closed goes to the end: it is still being typed. */
export function tokensOf(line: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < line.length) {
    const start = at;
    const letter = line[at] ?? '';
    const last = tokens.at(-1);
    const afterName = last?.kind === 'name' && last.end === at;
    at += 1;
    if (/\s/.test(letter)) continue;
    if (letter === '(' || letter === ')') {
      tokens.push({ kind: letter === '(' ? 'open' : 'close', text: letter, start, end: at });
    } else if (letter === '"') {
      const quoted = /^(?:\\"|[^"])*/.exec(line.slice(at))?.[0] ?? '';
      at = Math.min(line.length, at + quoted.length + 1);
      tokens.push({ kind: 'word', text: quoted.replace(/\\"/g, '"'), start, end: at });
    } else if (letter === '-' && !afterName && /^[^-\s]/.test(line.slice(at))) {
      tokens.push({ kind: 'not', text: '-', start, end: at });
    } else {
      const word = /^[^\s()"]+/.exec(line.slice(start))?.[0] ?? letter;
      const name = afterName ? undefined : nameBeforeColon(word);
      at = start + (name === undefined ? word.length : name.length + 1);
      const operator = OPERATORS.find((each) => each === word.toLowerCase());
      tokens.push({
        kind: name !== undefined ? 'name' : operator && !afterName ? operator : 'word',
        text: name ?? word,
        start,
        end: at,
      });
    }
  }
  return tokens;
}

const NAME = /^[\p{Alphabetic}_][\p{Alphabetic}\p{N}_.\-@/]+$/u;

/** A drive, a time, an address or a URL has a colon and is no name. */
function nameBeforeColon(word: string): string | undefined {
  const colon = word.indexOf(':');
  const name = word.slice(0, colon);
  return colon > 0 && NAME.test(name) && !/^(?::|\/\/)/.test(word.slice(colon + 1)) ? name : undefined;
}

/** How the language names a field of a list or of a record; `null` where it cannot. */
export function queryName(field: string, from: 'list' | 'record'): string | null {
  const isColumn = (COLUMNS as readonly string[]).includes(field);
  if (from === 'list' && isColumn) return field;
  if (!NAME.test(field)) return null;
  const hidden = (COLUMNS as readonly string[]).includes(field.toLowerCase()) || field.startsWith(OWN_FIELD);
  return hidden ? OWN_FIELD + field : field;
}

/** The server cuts values of its list there. */
export const VALUE_CHARS_MAX = 200;

/** A value as it is written after `name:` so that it means itself; of what cannot be written, a pattern. */
export function writtenValue(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a line of input holds none
  const exact = !/[\u0000-\u001f]/.test(value) && [...value].length < VALUE_CHARS_MAX;
  if (exact && /^[\p{L}\p{N}_.@/:-]+$/u.test(value)) return value;
  if (exact && value !== '' && !value.endsWith('\\')) return `"${value.replace(/"/g, '\\"')}"`;
  const escaped = value.replace(/[\\*]/g, '\\$&');
  const end = [...value].length >= VALUE_CHARS_MAX ? '*' : '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what cannot stand outside of quotes
  return (escaped + end).replace(/[\u0000-\u001f\s()"*]+/g, (found) =>
    /[^*]/.test(found) || end ? '*' : found,
  );
}

/** Whether what a condition names shall be there or not. */
export type Sense = 'include' | 'exclude';

/** The line with one more condition; one that it had already is turned around instead. */
export function withCondition(line: string, name: string, value: string, sense: Sense): string {
  return joined(line, `${name}:${writtenValue(value)}`, sense);
}

/** The line that also asks for a phrase. */
export function withPhrase(line: string, phrase: string, sense: Sense): string {
  return joined(line, `"${phrase.replace(/"/g, '\\"').replace(/\\$/, '')}"`, sense);
}

function joined(line: string, condition: string, sense: Sense): string {
  const wanted = sense === 'exclude' ? `not ${condition}` : condition;
  const tokens = tokensOf(line);
  if (tokens.length === 0) return wanted;
  let depth = 0;
  let alternatives = false;
  const found: { start: number; end: number }[] = [];
  tokens.forEach((token, at) => {
    if (token.kind === 'open') depth += 1;
    if (token.kind === 'close') depth -= 1;
    if (depth > 0) return;
    if (token.kind === 'or') alternatives = true;
    const next = token.kind === 'name' ? tokens[at + 1] : token;
    const before = tokens[at - 1];
    const end = token.kind === 'name' && next?.start !== token.end ? token.end : (next?.end ?? token.end);
    const belongs = before?.kind === 'name' && before.end === token.start;
    if (belongs || line.slice(token.start, end) !== condition) return;
    found.push({ start: before?.kind === 'not' ? before.start : token.start, end });
  });
  if (alternatives) return `(${line.trim()}) and ${wanted}`;
  const [first] = found;
  if (!first) return `${line.trim()} and ${wanted}`;
  return line.slice(0, first.start) + wanted + line.slice(first.end);
}

/** What the line looks for, for marking it in what was found: words and values that are not excluded. */
export function wantedTexts(line: string): string[] {
  const tokens = tokensOf(line);
  return tokens.flatMap((token, at) => {
    if (token.kind !== 'word') return [];
    const before = tokens[at - 1];
    const operator = before?.kind === 'name' && before.end === token.start ? tokens[at - 2] : before;
    const text = token.text.replace(/^\*+|\*+$/g, '');
    const isText = text !== '' && !/^[<>=]/.test(text) && !/^[\d.]+\/\d+$/.test(text);
    return operator?.kind === 'not' || !isText ? [] : [text];
  });
}

/** What is being typed where the caret stands. */
export type Spot =
  | { kind: 'word'; typed: string; start: number; end: number; operators: boolean }
  | { kind: 'value'; name: string; typed: string; start: number; end: number };

/** `null` where nothing can be completed: within a phrase. */
export function spotAt(line: string, caret: number): Spot | null {
  const tokens = tokensOf(line);
  const inside = tokens.find((token) => token.start < caret && caret <= token.end);
  const typed = inside && isBeingTyped(inside, caret) ? inside : undefined;
  const { start, end } = typed ?? { start: caret, end: caret };
  const before = tokens.filter((token) => token.end <= start);
  const last = before.at(-1);
  const raw = line.slice(start, caret);
  const name = last?.kind === 'name' && last.end === start ? last.text : groupName(before);
  if (name !== null) return { kind: 'value', name, typed: raw.replace(/^"/, ''), start, end };
  if (raw.startsWith('"')) return null;
  const operators = last?.kind === 'word' || last?.kind === 'close';
  return { kind: 'word', typed: raw, start, end, operators };
}

function isBeingTyped({ kind, text, end }: Token, caret: number): boolean {
  if (kind === 'name') return caret < end;
  return kind !== 'open' && kind !== 'close' && text !== '-';
}

/** The field whose values stand in the parentheses that are open, as in `EventID:(4624 or …`. */
function groupName(tokens: Token[]): string | null {
  let closed = 0;
  for (let at = tokens.length - 1; at >= 0; at -= 1) {
    const token = tokens[at];
    if (token?.kind === 'close') closed += 1;
    if (token?.kind !== 'open') continue;
    if (closed > 0) {
      closed -= 1;
      continue;
    }
    const name = tokens[at - 1];
    return name?.kind === 'name' && name.end === token.start ? name.text : null;
  }
  return null;
}

/** Where the server found a fault, as positions in the line: it counts characters, not halves of them. */
export function placeIn(line: string, at: number, length: number): { start: number; end: number } {
  const letters = [...line];
  const start = letters.slice(0, at).join('').length;
  return { start, end: start + letters.slice(at, at + length).join('').length };
}
