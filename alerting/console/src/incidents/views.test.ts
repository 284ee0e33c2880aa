import { expect, test } from 'vitest';
import { filterKey, withView } from './views';

test('the order of names does not make another filter', () => {
  expect(filterKey({ state: 'open', unit: 'a' })).toBe(filterKey({ unit: 'a', state: 'open' }));
  expect(filterKey({ state: 'all' })).toBe(filterKey({}));
  expect(filterKey({ state: 'open' })).not.toBe(filterKey({}));
});

test('a view of the same name is replaced', () => {
  const views = withView([{ name: 'b', filter: {} }], { name: 'a', filter: { state: 'new' } });
  expect(views.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(withView(views, { name: 'b', filter: { state: 'open' } })).toEqual([
    { name: 'a', filter: { state: 'new' } },
    { name: 'b', filter: { state: 'open' } },
  ]);
});
