import { expect, test } from 'vitest';
import { bucketsOf, toggled } from './facets';

test('a value is chosen and let go', () => {
  expect(toggled(undefined, 'high')).toBe('high');
  expect(toggled('high', 'critical')).toBe('high,critical');
  expect(toggled('high,critical', 'high')).toBe('critical');
  expect(toggled('high', 'high')).toBe(undefined);
});

test('empty bars stand between those that are not', () => {
  const none = { critical: 0, high: 0, medium: 0, low: 0, informational: 0 };
  const buckets = bucketsOf({
    seconds: 3_600,
    bars: [
      { ...none, at: '2026-11-22T00:00:00Z', high: 2, critical: 1 },
      { ...none, at: '2026-11-22T03:00:00Z', low: 4 },
    ],
  });
  expect(buckets?.counts).toEqual([0, 3, 0, 0, 4, 0]);
  expect(buckets?.starts[1]).toBe(Date.parse('2026-11-22T00:00:00Z') / 1000);
  expect(bucketsOf({ seconds: 60, bars: [] })).toBe(null);
});
