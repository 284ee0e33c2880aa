/** What the pages ask for, as TanStack Query options: one place for keys and pages. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { call, query } from './client';
import type {
  EventDetail,
  EventPage,
  HiddenPage,
  IncidentDetail,
  IncidentPage,
  IncidentState,
  NotificationMessages,
  NotificationRoutes,
  RuleFigures,
  SimilarIncident,
  SuppressionPage,
  SuppressionPreview,
  SuppressionTarget,
  SystemStatus,
} from './types';
import { INCIDENT_STATES } from './types';

const INCIDENTS_PER_PAGE = 50;
const EVENTS_PER_PAGE = 100;

/** One state, those that wait for somebody, those with a clock that ran out, or all. */
export const STATE_FILTERS = ['all', 'open', 'overdue', ...INCIDENT_STATES] as const;
export type StateFilter = (typeof STATE_FILTERS)[number];

/** Whether an incident in this state belongs to what the filter lets through. */
export function lets(filter: StateFilter, state: IncidentState): boolean {
  if (filter === 'open') return state !== 'resolved' && state !== 'closed';
  // What was opened just now has time left.
  if (filter === 'overdue') return false;
  return filter === 'all' || filter === state;
}

export function incidentPage(state: StateFilter, cursor: string | null, signal?: AbortSignal) {
  const wanted = state === 'overdue' ? { overdue: 'true' } : { state: state === 'all' ? undefined : state };
  return call<IncidentPage>(
    `/incidents${query({ limit: INCIDENTS_PER_PAGE, cursor, ...wanted })}`,
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

export function similarQuery(id: string) {
  return queryOptions({
    queryKey: ['similar', id],
    queryFn: ({ signal }) =>
      call<{ items: SimilarIncident[] }>(`/incidents/${encodeURIComponent(id)}/similar`, { signal }),
    staleTime: 30_000,
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

export const SUPPRESSION_FILTERS = ['active', 'ended', 'all'] as const;
export type SuppressionFilter = (typeof SUPPRESSION_FILTERS)[number];

export function suppressionsQuery(state: SuppressionFilter) {
  return infiniteQueryOptions({
    queryKey: ['suppressions', state],
    queryFn: ({ pageParam, signal }) =>
      call<SuppressionPage>(`/suppressions${query({ state, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
}

export function suppressionPreviewQuery(target: SuppressionTarget) {
  return queryOptions({
    queryKey: ['suppression preview', target],
    queryFn: ({ signal }) =>
      call<SuppressionPreview>('/suppressions/preview', { method: 'POST', body: target, signal }),
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });
}

export function hiddenQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: ['hidden', id],
    queryFn: ({ pageParam, signal }) =>
      call<HiddenPage>(`/suppressions/${encodeURIComponent(id)}/hidden${query({ cursor: pageParam })}`, {
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
}

export const routesQuery = queryOptions({
  queryKey: ['notification routes'],
  queryFn: ({ signal }) => call<NotificationRoutes>('/notifications/routes', { signal }),
});

/** Read again every few seconds: what waits is being sent meanwhile. */
export const messagesQuery = queryOptions({
  queryKey: ['notification messages'],
  queryFn: ({ signal }) => call<NotificationMessages>('/notifications/messages', { signal }),
  refetchInterval: 3_000,
});

export const rulesQuery = queryOptions({
  queryKey: ['rules'],
  queryFn: ({ signal }) => call<{ items: RuleFigures[] }>('/rules', { signal }),
  staleTime: 30_000,
});

export function ruleQuery(id: string) {
  return queryOptions({
    queryKey: ['rule', id],
    queryFn: ({ signal }) => call<{ items: RuleFigures[] }>(`/rules${query({ id })}`, { signal }),
    staleTime: 30_000,
  });
}
