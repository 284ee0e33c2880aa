import { expect, test } from 'vitest';
import { columnsOf, heatOf } from './matrix';

const technique = (id: string, tactics: string[], alerts: number) => ({
  id,
  name: '',
  tactics,
  alerts,
  rules: [],
  events: 0,
});

test('a technique stands below each of its tactics, the busiest first', () => {
  const columns = columnsOf({
    days: 30,
    version: '17.0',
    rules_loaded: 3,
    tactics: [
      { name: 'execution', rules: 2, alerts: 5 },
      { name: 'impact', rules: 0, alerts: 0 },
      { name: 'persistence', rules: 1, alerts: 4 },
    ],
    techniques: [
      technique('T1059', ['execution'], 1),
      technique('T1053', ['execution', 'persistence'], 4),
      technique('T1058', ['execution'], 1),
    ],
  });
  expect(columns.map(({ tactic, techniques }) => [tactic, techniques.map(({ id }) => id).join(' ')])).toEqual(
    [
      ['execution', 'T1053 T1058 T1059'],
      ['persistence', 'T1053'],
    ],
  );
});

test('heat grows with the order of magnitude', () => {
  expect([0, 1, 9, 10, 100, 1_000, 1_000_000].map(heatOf)).toEqual([0, 1, 1, 2, 3, 4, 4]);
});
