import { expect, test } from 'vitest';
import { rangeOf, widerThan } from './range';

const now = Date.parse('2026-11-22T00:30:00Z');

test('a named range ends a little ahead of now', () => {
  const range = rangeOf({ range: '1h' }, now);
  expect(range.name).toBe('1h');
  expect(now - range.fromMillis).toBe(3_600_000);
  expect(range.toMillis).toBeGreaterThan(now);
});
test('without a name or with an unknown one, the last day', () => {
  expect(rangeOf({}, now).name).toBe('24h');
  expect(rangeOf({ range: 'x' }, now).name).toBe('24h');
});
test('from and to', () => {
  const range = rangeOf({ from: '2026-11-01T00:00:00Z', to: '2026-11-02T00:00:00Z' }, now);
  expect(range).toEqual({
    name: null,
    fromMillis: Date.parse('2026-11-01T00:00:00Z'),
    toMillis: Date.parse('2026-11-02T00:00:00Z'),
  });
});
test('all time begins at the beginning', () => {
  expect(rangeOf({ range: 'all' }, now).fromMillis).toBe(0);
});
test('wider and wider', () => {
  expect(widerThan('24h')).toBe('7d');
  expect(widerThan('all')).toBeNull();
  expect(widerThan(null)).toBe('all');
});
