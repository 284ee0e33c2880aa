import { readFileSync } from 'node:fs';
import { i18n } from '@lingui/core';
import { beforeAll, expect, test } from 'vitest';
import { messages as en } from '../../locales/en/messages.po';
import { messages as english } from '../../locales/en/problems.po';
import { messages as vi } from '../../locales/vi/messages.po';
import { messages as vietnamese } from '../../locales/vi/problems.po';
import type { Problem } from '../api/types';
import { FIELD_WORDS, problemText, REFUSAL_WORDS, reasonOf } from './problemWords';

interface Variant {
  properties: Record<string, { enum?: string[]; type?: string; $ref?: string; items?: object }>;
}

const { schemas } = JSON.parse(readFileSync('src/api/openapi.json', 'utf8')).components;

/** One example of each code that the server can send, made from its own document. */
function examples(name: string): { code: string }[] {
  return (schemas[name].oneOf as Variant[]).flatMap(({ properties }) => {
    const values = Object.entries(properties).map(([key, schema]) => {
      const of = schema.$ref ? schemas[schema.$ref.split('/').at(-1) as string] : schema;
      if (of.enum) return [key, of.enum[0]];
      if (of.type === 'array') return [key, ['one', 'two']];
      return [key, of.type === 'integer' ? 7 : 'example'];
    });
    return [Object.fromEntries(values) as { code: string }];
  });
}

beforeAll(() => {
  i18n.load({ en, vi });
  i18n.load({ en: english, vi: vietnamese });
});

test.each([
  ['Refusal', REFUSAL_WORDS],
  ['FieldFault', FIELD_WORDS],
])('each code of %s has words in both languages', (name, words) => {
  const said = examples(name);
  expect(said.length).toBeGreaterThan(20);
  expect(Object.keys(words).sort()).toEqual(said.map(({ code }) => code).sort());
  for (const each of said) {
    const inLanguage = (language: string) => {
      i18n.activate(language);
      return name === 'Refusal'
        ? problemText({ said: each, detail: 'untold' } as unknown as Problem)
        : reasonOf({ field: 'x', said: each, reason: 'untold' } as never);
    };
    const [inEnglish, inVietnamese] = [inLanguage('en'), inLanguage('vi')];
    expect(inEnglish, each.code).not.toBe('untold');
    expect(inVietnamese, each.code).not.toBe('untold');
    expect(inVietnamese, each.code).not.toBe(inEnglish);
  }
});

test('an unknown code is said as the server says it, and hostile text stays text', () => {
  i18n.activate('vi');
  const newer = { said: { code: 'of_a_newer_server' }, detail: 'What is new.\u202e' } as unknown as Problem;
  expect(problemText(newer)).toMatch(/^What is new\./);
  expect(problemText(newer)).not.toContain('\u202e');
  expect(problemText({ detail: 'A proxy says no.' })).toBe('A proxy says no.');
});

test('parameters stand in the words, and roles are named as everywhere', () => {
  i18n.activate('vi');
  const said = { code: 'role_too_low', needed: 'analyst', yours: 'viewer' } as const;
  expect(problemText({ said })).toContain('phân tích viên');
  const errors = [{ field: 'text', reason: '', said: { code: 'too_long' as const, bytes_max: 10_000 } }];
  expect(problemText({ said: { code: 'wrong_input' }, errors })).toMatch(/^text: .*10.?000/);
});
