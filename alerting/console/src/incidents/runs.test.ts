import { expect, test } from 'vitest';
import type { EvidenceEvent } from '../api/types';
import { runsOf } from './runs';

function event(id: string, rules: string[], host = 'a'): EvidenceEvent {
  return { id, host, format: 'syslog', rule_ids: rules } as EvidenceEvent;
}

test('events of one kind that follow each other are one run', () => {
  const runs = runsOf([
    event('1', ['x', 'y']),
    event('2', ['y', 'x']),
    event('3', ['z']),
    event('4', ['x', 'y']),
    event('5', ['x', 'y'], 'b'),
  ]);
  expect(runs.map(({ first, more }) => [first.id, ...more.map(({ id }) => id)])).toEqual([
    ['1', '2'],
    ['3'],
    ['4'],
    ['5'],
  ]);
  expect(runsOf([])).toEqual([]);
});
