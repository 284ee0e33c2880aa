import { expect, test } from 'vitest';
import { bucketsOfDays } from './days';

test('each of thirty days of Indochina has its place', () => {
  const now = Date.parse('2026-11-22T18:00:00Z');
  const { starts, counts } = bucketsOfDays(
    [
      { at: '2026-11-22T17:00:00Z', alerts: 3, events: 9 },
      { at: '2026-11-20T17:00:00Z', alerts: 1, events: 1 },
      { at: '2026-01-01T00:00:00Z', alerts: 7, events: 7 },
    ],
    now,
  );
  expect(counts.length).toBe(30);
  expect(counts.slice(-3)).toEqual([1, 0, 3]);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4);
  expect(starts.at(-1)).toBe(Date.parse('2026-11-22T17:00:00Z') / 1000);
});
