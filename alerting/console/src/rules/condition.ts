/**
 * A rule's condition as a tree, read from its text, with what made it true marked. The server says which
 * fields matched with which values; this finds the places in the rule that ask for them.
 */
import { parse } from 'yaml';
import type { NamedValue } from '../api/types';
import { valueParts } from '../text/values';

export interface Test {
  kind: 'test';
  /** Empty for a keyword, which may stand anywhere. */
  field: string;
  modifiers: string[];
  values: string[];
}

export interface Group {
  kind: 'all' | 'any' | 'not';
  /** The name of the search, or the words of the condition. */
  name: string;
  children: Node[];
}

/** A condition that is written in a way not known here. */
export interface Unread {
  kind: 'unread';
  text: string;
}

export type Node = Test | Group | Unread;

/** What a correlation counts. */
export interface Correlation {
  type: string;
  rules: string[];
  groupBy: string[];
  timespan: string;
  condition: string;
}

export type Explained = { tree: Node } | { correlation: Correlation } | null;

type Mapping = Record<string, unknown>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function texts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(texts);
  if (value === undefined) return [];
  return [value === null ? 'null' : typeof value === 'object' ? JSON.stringify(value) : String(value)];
}

/** Reads a rule's text; `null` when there is nothing to draw. */
export function explain(text: string): Explained {
  let rule: unknown;
  try {
    rule = parse(text, { maxAliasCount: 20 });
  } catch {
    return null;
  }
  if (!isMapping(rule)) return null;
  if (isMapping(rule.correlation)) {
    const { type, rules, 'group-by': groupBy, timespan, condition } = rule.correlation;
    return {
      correlation: {
        type: texts(type).join(' '),
        rules: texts(rules),
        groupBy: texts(groupBy),
        timespan: texts(timespan).join(' '),
        condition: isMapping(condition)
          ? Object.entries(condition)
              .map(([name, value]) => `${name} ${texts(value).join(' ')}`)
              .join(', ')
          : texts(condition).join(' '),
      },
    };
  }
  if (!isMapping(rule.detection)) return null;
  const { condition, ...searches } = rule.detection;
  const trees = texts(condition).map((each) => new ConditionReader(each, searches).read());
  const [only] = trees;
  if (!only) return null;
  return { tree: trees.length === 1 ? only : { kind: 'any', name: '', children: trees } };
}

function searchTree(name: string, search: unknown): Node {
  if (isMapping(search)) {
    return { kind: 'all', name, children: Object.entries(search).map(([key, value]) => testOf(key, value)) };
  }
  if (!Array.isArray(search)) return { kind: 'any', name, children: [testOf('', search)] };
  if (search.every((each) => !isMapping(each))) return { kind: 'any', name, children: [testOf('', search)] };
  return {
    kind: 'any',
    name,
    children: search.map((each) => (isMapping(each) ? searchTree('', each) : testOf('', each))),
  };
}

function testOf(key: string, value: unknown): Test {
  const [field = '', ...modifiers] = key.split('|');
  return { kind: 'test', field, modifiers, values: texts(value) };
}

/** `not` before `and` before `or`; `1 of x*` and `all of them` stand for searches. */
class ConditionReader {
  readonly #tokens: string[];
  #at = 0;
  readonly #text: string;
  readonly #searches: Mapping;

  constructor(text: string, searches: Mapping) {
    this.#text = text;
    this.#searches = searches;
    this.#tokens = text.match(/\(|\)|[^\s()]+/g) ?? [];
  }

  read(): Node {
    const node = this.#or();
    return node && this.#at === this.#tokens.length ? node : { kind: 'unread', text: this.#text };
  }

  #takes(word: string): boolean {
    if (this.#tokens[this.#at]?.toLowerCase() !== word) return false;
    this.#at += 1;
    return true;
  }

  #joined(kind: 'all' | 'any', word: string, part: () => Node | null): Node | null {
    const children: Node[] = [];
    do {
      const child = part();
      if (!child) return null;
      children.push(child);
    } while (this.#takes(word));
    const [only] = children;
    return children.length === 1 && only ? only : { kind, name: '', children };
  }

  #or(): Node | null {
    return this.#joined('any', 'or', () => this.#and());
  }

  #and(): Node | null {
    return this.#joined('all', 'and', () => this.#not());
  }

  #not(): Node | null {
    if (!this.#takes('not')) return this.#one();
    const child = this.#not();
    return child && { kind: 'not', name: '', children: [child] };
  }

  #one(): Node | null {
    if (this.#takes('(')) {
      const inside = this.#or();
      return inside && this.#takes(')') ? inside : null;
    }
    const word = this.#tokens[this.#at];
    if (word === undefined) return null;
    this.#at += 1;
    if (/^(1|any|all)$/i.test(word) && this.#takes('of')) {
      const pattern = this.#tokens[this.#at];
      if (pattern === undefined) return null;
      this.#at += 1;
      const wanted =
        pattern === 'them' ? /^[^_]/ : new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`);
      const children = Object.entries(this.#searches)
        .filter(([name]) => wanted.test(name))
        .map(([name, search]) => searchTree(name, search));
      return { kind: /^all$/i.test(word) ? 'all' : 'any', name: `${word} of ${pattern}`, children };
    }
    return word in this.#searches ? searchTree(word, this.#searches[word]) : null;
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Modifiers whose sense is known here; with any other one the name of the field decides. */
const KNOWN = new Set(['contains', 'startswith', 'endswith', 'all', 'cased']);

/** A pattern for a value with `*` and `?`, of which `\` makes characters. */
function patternOf(value: string, modifiers: string[]): RegExp {
  let body = '';
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at] ?? '';
    const next = value[at + 1] ?? '';
    if (char === '\\' && (next === '*' || next === '?' || next === '\\')) {
      body += escaped(next);
      at += 1;
    } else if (char === '*') body += '[^]*';
    else if (char === '?') body += '[^]';
    else body += escaped(char);
  }
  const open = modifiers.includes('contains');
  const start = open || modifiers.includes('endswith') ? '' : '^';
  const end = open || modifiers.includes('startswith') ? '' : '$';
  return new RegExp(`${start}${body}${end}`, modifiers.includes('cased') ? 'u' : 'iu');
}

/** The values that made the test true; empty when none did. */
export function heldBy(test: Test, matched: NamedValue[]): string[] {
  const values = matched.filter(({ name }) => name === test.field).flatMap(({ value }) => valueParts(value));
  if (values.length === 0) return [];
  const exact = test.modifiers.every((each) => KNOWN.has(each));
  if (!exact) return [...new Set(values)];
  const patterns = test.values.map((value) =>
    // A keyword may stand anywhere in the text.
    patternOf(value, test.field === '' ? [...test.modifiers, 'contains'] : test.modifiers),
  );
  const holds = (value: string) =>
    test.modifiers.includes('all')
      ? patterns.every((pattern) => pattern.test(value))
      : patterns.some((pattern) => pattern.test(value));
  const whole = values.filter(holds);
  if (whole.length > 0) return [...new Set(whole)];
  // Of a field with several values the server joins them.
  return [...new Set(values.flatMap((value) => value.split(',')).filter(holds))];
}

/** Whether what matched makes this part of the condition true. */
export function holds(node: Node, matched: NamedValue[]): boolean {
  switch (node.kind) {
    case 'test':
      return heldBy(node, matched).length > 0;
    case 'all':
      return node.children.every((child) => holds(child, matched));
    case 'any':
      return node.children.some((child) => holds(child, matched));
    case 'not':
      return !node.children.some((child) => holds(child, matched));
    case 'unread':
      return false;
  }
}
