import { expect, test } from 'vitest';
import { correlationOf } from './correlation';

test('a correlation is read, and what is none is nothing', () => {
  const rule =
    'correlation:\n  type: event_count\n  rules: [a, b]\n  group-by: [user]\n  timespan: 5m\n  condition: {gte: 10}';
  expect(correlationOf(rule)).toEqual({
    type: 'event_count',
    rules: ['a', 'b'],
    groupBy: ['user'],
    timespan: '5m',
    condition: 'gte 10',
  });
  for (const other of ['', 'a: [', '- 1', 'detection: 7', 'title: x'])
    expect(correlationOf(other)).toBe(null);
});
