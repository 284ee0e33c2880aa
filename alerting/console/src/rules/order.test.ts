import { expect, test } from 'vitest';
import type { RuleFigures } from '../api/types';
import { folded } from '../text/folded';
import { falseShare, found, ordered } from './order';

function rule(
  title: string,
  incidents: number,
  judged: [number, number, number],
  title_vi = '',
): RuleFigures {
  const [true_positives, benign_true_positives, false_positives] = judged;
  return {
    id: title,
    title,
    title_vi,
    tags: ['attack.t1110'],
    incidents,
    true_positives,
    benign_true_positives,
    false_positives,
    hidden: 0,
    cost: title === 'Shell' ? { share: 0.2, seconds: 1 } : null,
    last_event_at: null,
  } as unknown as RuleFigures;
}

const RULES = [
  rule('Guess', 3, [0, 0, 0], 'Đoán mật khẩu'),
  rule('Shell', 1, [1, 1, 2]),
  rule('Scan', 9, [0, 0, 4]),
];

test('the share of false positives is of those that were judged', () => {
  expect(RULES.map(falseShare)).toEqual([null, 0.5, 1]);
});

test('rules are ordered by what is asked for', () => {
  const titles = (order: 'incidents' | 'false' | 'cost') => ordered(RULES, order).map(({ title }) => title);
  expect(titles('incidents')).toEqual(['Scan', 'Guess', 'Shell']);
  expect(titles('cost')).toEqual(['Shell', 'Guess', 'Scan']);
  expect(titles('false')).toEqual(['Scan', 'Shell', 'Guess']);
});

test('rules are found without diacritics, in both languages and by tag', () => {
  expect(folded('Đoán Mật KHẨU')).toBe('doan mat khau');
  expect(found(RULES, 'mat doan').map(({ title }) => title)).toEqual(['Guess']);
  expect(found(RULES, 'T1110 s').length).toBe(3);
  expect(found(RULES, 'nothing')).toEqual([]);
});
