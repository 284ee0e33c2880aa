import { expect, test } from 'vitest';
import type { Incident } from '../api/types';
import { closingOf, partsOf, TRIAGE_ACTIONS, undoOf } from './triage';

function incident(id: string, part: Partial<Incident>): Incident {
  return { id, version: 1, state: 'new', assignee: null, verdict: null, ...part } as Incident;
}

test('undo brings back what the server says was there, and leaves what was not changed', () => {
  const before = { state: 'new', verdict: null, verdict_reason: null, assignee: null } as const;
  const changed = [
    { id: 'one', version: 2, before },
    { id: 'as it was', version: 4, before: { ...before, state: 'resolved' as const } },
  ];
  expect(undoOf({ state: 'resolved' }, changed)).toEqual([{ id: 'one', version: 2, before }]);
  expect(undoOf({ assignee: null }, changed)).toEqual([]);
});

test('what has a verdict keeps it when it is closed among others', () => {
  const [judged, other] = [incident('judged', { verdict: 'true_positive' }), incident('other', {})];
  expect(closingOf([judged, other], 'false_positive')).toEqual([
    { incidents: [judged], change: { state: 'closed' } },
    { incidents: [other], change: { state: 'closed', verdict: 'false_positive' } },
  ]);
  expect(closingOf([judged])).toEqual([{ incidents: [judged], change: { state: 'closed' } }]);
});

test('a change of many is cut into requests of a thousand', () => {
  const items = Array.from({ length: 2_500 }, (_, at) => ({ id: `${at}`, version: 1 }));
  expect(partsOf(items).map((part) => part.length)).toEqual([1_000, 1_000, 500]);
});

test('each action has a key of its own and fits what it would change', () => {
  expect(new Set(TRIAGE_ACTIONS.map(({ key }) => key)).size).toBe(TRIAGE_ACTIONS.length);
  const fitting = (each: Incident) =>
    TRIAGE_ACTIONS.filter((action) => action.fits(each, 'lan'))
      .map(({ key }) => key)
      .join('');
  expect(fitting(incident('new', {}))).toBe('eatbfr');
  expect(fitting(incident('mine', { state: 'resolved', assignee: 'lan', verdict: 'false_positive' }))).toBe(
    'tbc',
  );
});
