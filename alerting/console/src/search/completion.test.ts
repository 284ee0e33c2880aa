import { expect, test } from 'vitest';
import type { EventField } from '../api/types';
import { suggestionsFor } from './completion';
import { spotAt } from './language';

function field(name: string, values: string[] = []): EventField {
  const top = values.map((value) => ({ value, events: 1, entity: null }));
  return { name, events: 10, distinct: values.length, entity: null, top };
}

const FIELDS = [field('unit'), field('TargetUserName'), field('User'), field('not a name')];

function texts(line: string, ofName?: EventField): string[] {
  return suggestionsFor(spotAt(line, line.length), FIELDS, ofName).map(({ insert }) => insert);
}

test('names of what was found come first, columns without finds after them', () => {
  expect(texts('us')).toEqual(['user:', 'TargetUserName:', 'fields.User:']);
  expect(texts('un')[0]).toBe('unit:');
  expect(texts('xyzzy')).toEqual([]);
});

test('operators where something stands before them', () => {
  expect(texts('a a')).toContain('and ');
  expect(texts('a')).not.toContain('and ');
  expect(texts('a and not')).not.toContain('not ');
  expect(texts('n')).toContain('not ');
});

test('values as they must be written, with or without diacritics', () => {
  const user = field('user', ['root', 'Nguyễn Tuấn']);
  expect(texts('user:', user)).toEqual(['root ', '"Nguyễn Tuấn" ']);
  expect(texts('user:nguyen', user)).toEqual(['"Nguyễn Tuấn" ']);
  expect(texts('user:root', user)).toEqual([]);
});
