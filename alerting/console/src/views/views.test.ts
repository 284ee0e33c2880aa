import { expect, test } from 'vitest';
import { formerViews, queryOf, searchOf } from './views';

test('the order of names does not make another filter', () => {
  expect(queryOf({ state: 'open', unit: 'a' })).toBe(queryOf({ unit: 'a', state: 'open' }));
  expect(queryOf({ state: 'all', host: '' })).toBe(queryOf({}));
  expect(queryOf({ state: 'open' })).not.toBe('');
});

test('a filter survives its way through a text', () => {
  const filter = { q: 'user:"a b" and not x&y=z', range: '7d' };
  expect(searchOf(queryOf(filter))).toEqual(filter);
});

test('what a browser kept is read as far as it can be', () => {
  expect(formerViews('[{"name":"a","filter":{"state":"new"}},{"name":1},null]')).toEqual([
    { name: 'a', filter: { state: 'new' } },
  ]);
  for (const broken of ['', '{', '{}', 'null', '7']) expect(formerViews(broken)).toEqual([]);
});
