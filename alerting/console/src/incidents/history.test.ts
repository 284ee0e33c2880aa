import { expect, test } from 'vitest';
import { mergeOf, reportOf, stepOf } from './history';

const entry = (kind: string, what: string) => ({ at: '', who: 'lan', kind, what, parameters: {} });

test('a change is read from what to what', () => {
  expect(stepOf(entry('state', 'state: new -> acknowledged'))).toEqual({ from: 'new', to: 'acknowledged' });
  expect(stepOf(entry('assignee', 'assignee: none -> lan'))).toEqual({ from: '', to: 'lan' });
  expect(stepOf(entry('unit', 'unit: hcmc/q1 -> none'))).toEqual({ from: 'hcmc/q1', to: '' });
  expect(stepOf(entry('verdict_reason', 'verdict reason: none -> a -> b\nc'))).toEqual({
    from: '',
    to: 'a -> b\nc',
  });
});

test('what is of another kind or written in another way is left as it is', () => {
  expect(stepOf(entry('comment', 'state: new -> closed'))).toBe(null);
  expect(stepOf(entry('state', 'somehow else'))).toBe(null);
  expect(mergeOf(entry('comment', 'took in incident 7'))).toBe(null);
});

test('merges and reports', () => {
  expect(mergeOf(entry('merged', 'took in incident 7'))).toEqual({ way: 'in', number: '7' });
  expect(mergeOf(entry('merged', 'merged into incident 3'))).toEqual({ way: 'into', number: '3' });
  expect(reportOf(entry('report', 'report:first 41/BC-ATTT of May'))).toEqual({
    clock: 'report:first',
    reference: '41/BC-ATTT of May',
  });
});
