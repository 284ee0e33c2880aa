import { expect, test } from 'vitest';
import type { IncidentClock } from '../api/types';
import { nextOf, spanOf, stateOf } from './clocks';

const clock = (name: string, due_at: string, met_at: string | null = null): IncidentClock => ({
  name,
  due_at,
  met_at,
});
const NOON = Date.parse('2026-11-22T12:00:00Z');

test('a clock runs, is close to its end, runs out, is met in time or late', () => {
  expect(stateOf(clock('resolve', '2026-11-22T15:00:00Z'), NOON)).toBe('running');
  expect(stateOf(clock('resolve', '2026-11-22T12:59:59Z'), NOON)).toBe('soon');
  expect(stateOf(clock('resolve', '2026-11-22T12:00:00Z'), NOON)).toBe('overdue');
  expect(stateOf(clock('resolve', '2026-11-22T11:00:00Z', '2026-11-22T10:00:00Z'), NOON)).toBe('met');
  expect(stateOf(clock('resolve', '2026-11-22T11:00:00Z', '2026-11-22T11:30:00Z'), NOON)).toBe('met-late');
});

test('next is the first to run out of those that wait', () => {
  const met = clock('acknowledge', '2026-11-22T12:15:00Z', '2026-11-22T12:01:00Z');
  const report = clock('report:first', '2026-11-23T12:00:00Z');
  const resolve = clock('resolve', '2026-11-22T16:00:00Z');
  expect(nextOf([met, report, resolve])).toBe(resolve);
  expect(nextOf([met])).toBeUndefined();
});

test('a span is told in whole units and never too long', () => {
  expect(spanOf(59_999)).toEqual({ value: 0, unit: 'minute' });
  expect(spanOf(119 * 60_000)).toEqual({ value: 119, unit: 'minute' });
  expect(spanOf(-47.9 * 3_600_000)).toEqual({ value: 47, unit: 'hour' });
  expect(spanOf(72 * 3_600_000)).toEqual({ value: 3, unit: 'day' });
});
