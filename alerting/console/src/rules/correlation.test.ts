import { expect, test } from 'vitest';
import { correlationOf, spanOfText } from './correlation';

test('a correlation is read, and what is none is nothing', () => {
  const rule =
    'correlation:\n  type: event_count\n  rules: [a, b]\n  group-by: [user]\n  timespan: 5m\n  condition: {gte: 10}';
  expect(correlationOf(rule)).toEqual({
    type: 'event_count',
    rules: ['a', 'b'],
    groupBy: ['user'],
    timespan: '5m',
    condition: '≥ 10',
  });
  for (const other of ['', 'a: [', '- 1', 'detection: 7', 'title: x'])
    expect(correlationOf(other)).toBe(null);
});

test('conditions and spans are written as people write them', () => {
  const conditionOf = (condition: string) =>
    correlationOf(`correlation:\n  type: value_count\n  condition: ${condition}`)?.condition;
  expect(conditionOf('{field: hostname, gte: 3}')).toBe('hostname ≥ 3');
  expect(conditionOf('{gt: 2, lt: 9}')).toBe('> 2, < 9');
  expect(conditionOf('{other: 1}')).toBe('other 1');
  expect(conditionOf('a and b')).toBe('a and b');
  expect(spanOfText('30m')).toEqual({ value: 30, unit: 'minute' });
  expect(spanOfText('90')).toBe(null);
  expect(spanOfText('soon')).toBe(null);
});
