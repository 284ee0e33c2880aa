import { expect, test } from 'vitest';
import { bucketsOf } from './buckets';

const at = Date.parse('2026-11-22T00:00:00Z') / 1000;

test('empty slices stand between those that were counted', () => {
  const counted = [
    { at, count: 2 },
    { at: at + 180, count: 1 },
  ];
  expect(bucketsOf(counted, 60)).toEqual({
    starts: [-60, 0, 60, 120, 180, 240].map((seconds) => at + seconds),
    counts: [0, 2, 0, 0, 1, 0],
    widthMillis: 60_000,
  });
});

test('the span that was asked for is shown to its ends', () => {
  const buckets = bucketsOf([{ at, count: 5 }], 60, { from: at - 150, to: at + 130 });
  expect(buckets?.starts).toEqual([-180, -120, -60, 0, 60, 120].map((seconds) => at + seconds));
  expect(buckets?.counts).toEqual([0, 0, 0, 5, 0, 0]);
});

test('nothing, and far too much, stay bounded', () => {
  expect(bucketsOf([], 60)).toBeNull();
  expect(bucketsOf([{ at, count: 1 }], 0)).toBeNull();
  expect(bucketsOf([{ at, count: 1 }], 1, { from: 0, to: at * 2 })?.counts.length).toBe(400);
});
