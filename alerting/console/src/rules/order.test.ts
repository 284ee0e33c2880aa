import { expect, test } from 'vitest';
import type { RuleFigures } from '../api/types';
import { folded } from '../text/folded';
import { found, ordered } from './order';

function rule(title: string, incidents: number, share: number | null, title_vi = ''): RuleFigures {
  return {
    id: title,
    title,
    title_vi,
    tags: ['attack.t1110'],
    incidents,
    false_positive_share: share,
    hidden: 0,
    cost: title === 'Shell' ? { share: 0.2, seconds: 1 } : null,
    last_event_at: null,
  } as unknown as RuleFigures;
}

const RULES = [rule('Guess', 3, null, 'Đoán mật khẩu'), rule('Shell', 1, 0.5), rule('Scan', 9, 1)];

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
