import { QueryClient } from '@tanstack/react-query';
import { expect, test } from 'vitest';
import { LiveIncidents, newFor } from './live';
import { facetsQuery, incidentQuery, incidentsQuery, lets } from './queries';
import type { ServerEvent } from './sse';
import type { LiveStream } from './stream';
import type { Incident, IncidentState } from './types';

function incident(number: number, state: IncidentState, version: number): Incident {
  return { id: `i${number}`, number, state, version } as Incident;
}

function listOf(...items: Incident[]) {
  return { pages: [{ items, next_cursor: null, total: items.length, change: 0 }], pageParams: [null] };
}

function setUp() {
  const queries = new QueryClient();
  const key = incidentsQuery({}).queryKey;
  queries.setQueryData(key, listOf(incident(2, 'new', 1), incident(1, 'new', 3)));
  const live = new LiveIncidents(queries);
  const shown = () => queries.getQueryData(key)?.pages[0]?.items.map(({ id, state }) => `${id} ${state}`);
  const waiting = (filter: 'all' | 'open' | 'resolved') =>
    newFor(queries.getQueryData(key), { state: filter }, live.get());
  return { queries, live, shown, waiting };
}

test('a shown incident changes where it stands', () => {
  const { live, shown, waiting } = setUp();
  live.observe(incident(1, 'resolved', 4));
  expect(shown()).toEqual(['i2 new', 'i1 resolved']);
  expect(waiting('all')).toEqual([]);
});

test('an older change that comes late changes nothing', () => {
  const { live, shown } = setUp();
  live.observe(incident(1, 'resolved', 2));
  expect(shown()).toEqual(['i2 new', 'i1 new']);
});

test('a new incident waits, once, and only for lists that would show it', () => {
  const { live, shown, waiting } = setUp();
  live.observe(incident(3, 'new', 1));
  live.observe(incident(3, 'acknowledged', 2));
  expect(shown()).toEqual(['i2 new', 'i1 new']);
  expect(waiting('all').map(({ version }) => version)).toEqual([2]);
  expect(waiting('open').length).toBe(1);
  expect(waiting('resolved')).toEqual([]);
});

test('a change of one far down the list is not new', () => {
  const { live, waiting } = setUp();
  live.observe(incident(0, 'new', 9));
  expect(waiting('all')).toEqual([]);
});

test('old ones that change by the thousand do not crowd out a new one', () => {
  const { live, shown, waiting } = setUp();
  live.observe(incident(3, 'new', 1));
  for (let round = 0; round < 2_000; round += 1) {
    live.observe({ ...incident(0, 'new', 1), id: `old-${round}` });
  }
  live.observe(incident(1, 'resolved', 4));
  expect(waiting('all').map(({ id }) => id)).toEqual(['i3']);
  expect(shown()).toEqual(['i2 new', 'i1 resolved']);
});

test('open means that somebody has to do something', () => {
  expect(
    ['new', 'acknowledged', 'in_progress', 'resolved', 'closed'].map((state) =>
      lets({ state: 'open' }, incident(1, state as IncidentState, 1)),
    ),
  ).toEqual([true, true, true, false, false]);
});

test('a filter lets through what has all that it names', () => {
  const one = {
    ...incident(1, 'new', 1),
    severity: 'high',
    unit: 'ward-1',
    last_event_at: '2026-11-22T01:00:00Z',
    entities: [{ kind: 'address', value: '203.0.113.7' }],
  } as Incident;
  expect(lets({ severity: 'critical,high', unit: 'ward-1' }, one)).toBe(true);
  expect(lets({ unit_below: 'city' }, one, new Set(['city', 'ward-1']))).toBe(true);
  expect(lets({ unit_below: 'district' }, one, new Set(['district', 'ward-2']))).toBe(false);
  expect(lets({ unit_below: 'ward-1' }, one)).toBe(true);
  expect(lets({ entity: 'address:203.0.113.7' }, one)).toBe(true);
  expect(lets({ severity: 'critical' }, one)).toBe(false);
  expect(lets({ severity: 'high', unit: 'ward-2' }, one)).toBe(false);
  expect(lets({ entity: 'user:203.0.113.7' }, one)).toBe(false);
  expect(lets({ assignee: '~none' }, one)).toBe(true);
  expect(lets({ assignee: 'lan' }, one)).toBe(false);
  expect(lets({ from: '2026-11-22T00:00:00Z', to: '2026-11-22T02:00:00Z' }, one)).toBe(true);
  expect(lets({ to: '2026-11-22T01:00:00Z' }, one)).toBe(false);
});

test('a reset asks for lists, incidents and facets anew, and forgets what waited', () => {
  const { queries, live, waiting } = setUp();
  const keys = [incidentsQuery({}).queryKey, incidentQuery('i1').queryKey, facetsQuery({}).queryKey];
  for (const key of keys.slice(1)) queries.setQueryData(key, {} as never);
  let say: (event: ServerEvent) => void = () => undefined;
  live.follow({
    onEvent: (listener: typeof say) => {
      say = listener;
      return () => undefined;
    },
    onStanding: () => () => undefined,
    start: () => undefined,
    stop: () => undefined,
  } as unknown as LiveStream);
  live.observe(incident(3, 'new', 1));
  expect(waiting('all').length).toBe(1);
  say({ event: 'reset', data: '{}', id: '' });
  expect(waiting('all')).toEqual([]);
  expect(keys.map((key) => queries.getQueryState(key)?.isInvalidated)).toEqual([true, true, true]);
});
