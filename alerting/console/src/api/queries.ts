/** What the pages ask for, as TanStack Query options: one place for keys and pages. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { call, query } from './client';
import type {
  EventDetail,
  EventPage,
  IncidentDetail,
  IncidentPage,
  IncidentState,
  SystemStatus,
} from './types';
import { INCIDENT_STATES } from './types';

const INCIDENTS_PER_PAGE = 50;
const EVENTS_PER_PAGE = 100;

/** One state, those that wait for somebody, or all. */
export const STATE_FILTERS = ['all', 'open', ...INCIDENT_STATES] as const;
export type StateFilter = (typeof STATE_FILTERS)[number];

/** Whether an incident in this state belongs to what the filter lets through. */
export function lets(filter: StateFilter, state: IncidentState): boolean {
  if (filter === 'open') return state !== 'resolved' && state !== 'closed';
  return filter === 'all' || filter === state;
}

export function incidentPage(state: StateFilter, cursor: string | null, signal?: AbortSignal) {
  return call<IncidentPage>(
    `/incidents${query({ limit: INCIDENTS_PER_PAGE, cursor, state: state === 'all' ? undefined : state })}`,
    signal ? { signal } : {},
  );
}

/** Never stale by itself: rows change in place through the live stream, and move only when asked to. */
export function incidentsQuery(state: StateFilter) {
  return infiniteQueryOptions({
    queryKey: ['incidents', state],
    queryFn: ({ pageParam, signal }) => incidentPage(state, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function incidentQuery(id: string) {
  return queryOptions({
    queryKey: ['incident', id],
    queryFn: ({ signal }) => call<IncidentDetail>(`/incidents/${encodeURIComponent(id)}`, { signal }),
    staleTime: 10_000,
  });
}

export interface EventSearch {
  /** RFC 3339. */
  from: string;
  to: string;
  text: string;
}

export function eventsQuery({ from, to, text }: EventSearch) {
  return infiniteQueryOptions({
    queryKey: ['events', from, to, text],
    queryFn: ({ pageParam, signal }) =>
      call<EventPage>(`/events${query({ from, to, q: text, limit: EVENTS_PER_PAGE, cursor: pageParam })}`, {
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  });
}

export function eventQuery(id: string) {
  return queryOptions({
    queryKey: ['event', id],
    queryFn: ({ signal }) => call<EventDetail>(`/events/${encodeURIComponent(id)}`, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export const statusQuery = queryOptions({
  queryKey: ['status'],
  queryFn: ({ signal }) => call<SystemStatus>('/status', { signal }),
  refetchInterval: 5_000,
});
