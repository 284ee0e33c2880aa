import { expect, test } from 'vitest';
import { bucketsOf } from './buckets';

const from = Date.parse('2026-11-22T00:00:00Z');

test('each event is counted once', () => {
  const times = [from, from + 59_999, from + 60_000, from + 3_599_999];
  const buckets = bucketsOf(times, from, from + 3_600_000);
  expect(buckets.widthMillis).toBe(60_000);
  expect(buckets.counts.length).toBe(60);
  expect(buckets.counts.reduce((sum, count) => sum + count, 0)).toBe(4);
  expect(buckets.counts.slice(0, 2)).toEqual([2, 1]);
});
test('days begin at midnight of Indochina Time', () => {
  const buckets = bucketsOf([], from, from + 60 * 86_400_000);
  expect(buckets.widthMillis).toBe(86_400_000);
  expect(new Date((buckets.starts[0] ?? 0) * 1000).toISOString()).toBe('2026-11-21T17:00:00.000Z');
});
test('all of time and no time at all stay bounded', () => {
  expect(bucketsOf([1], 0, Date.parse('2100-01-01T00:00:00Z')).counts.length).toBeLessThan(100);
  expect(bucketsOf([from], from, from).counts.length).toBe(1);
});
