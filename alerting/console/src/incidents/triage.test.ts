import { expect, test } from 'vitest';
import type { Incident } from '../api/types';
import { partsOf, TRIAGE_ACTIONS, undoOf } from './triage';

function incident(id: string, part: Partial<Incident>): Incident {
  return { id, version: 1, state: 'new', assignee: null, verdict: null, ...part } as Incident;
}

test('undo sets back what each had, and leaves what was not changed', () => {
  const before = [
    incident('one', { state: 'new' }),
    incident('two', { state: 'in_progress', version: 7 }),
    incident('three', { state: 'new', version: 3 }),
    incident('failed', { state: 'new' }),
    incident('as it was', { state: 'resolved', version: 4 }),
  ];
  const changed = [
    { id: 'one', version: 2 },
    { id: 'two', version: 8 },
    { id: 'three', version: 4 },
    { id: 'as it was', version: 4 },
  ];
  expect(undoOf(before, { state: 'resolved' }, changed)).toEqual([
    {
      items: [
        { id: 'one', version: 2 },
        { id: 'three', version: 4 },
      ],
      change: { state: 'new' },
    },
    { items: [{ id: 'two', version: 8 }], change: { state: 'in_progress' } },
  ]);
});

test('undo empties what was empty', () => {
  const [part] = undoOf([incident('one', {})], { assignee: 'lan' }, [{ id: 'one', version: 2 }]);
  expect(part?.change).toEqual({ assignee: null });
});

test('a change of many is cut into requests of a thousand', () => {
  const items = Array.from({ length: 2_500 }, (_, at) => ({ id: `${at}`, version: 1 }));
  expect(partsOf(items, { state: 'closed' }).map((part) => part.items.length)).toEqual([1_000, 1_000, 500]);
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
