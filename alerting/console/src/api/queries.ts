/** What the pages ask for, as TanStack Query options: one place for keys and pages. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { INDOCHINA_OFFSET_MINUTES } from '../text/time';
import { call } from './client';
import {
  filterParameters,
  INCIDENTS_PER_PAGE,
  type IncidentFilter,
  incidentPagePath,
} from './incidentFilter';
import { query } from './parameters';
import type {
  ApiToken,
  AttackCoverage,
  AuditPage,
  EntityDetail,
  EventDetail,
  EventFields,
  EventHistogram,
  EventNeighbours,
  EventPage,
  Explained,
  Facets,
  HiddenPage,
  Incident,
  IncidentDetail,
  IncidentPage,
  IncidentState,
  NotificationMessages,
  NotificationRoutes,
  Person,
  RuleDetail,
  RuleFigures,
  SavedView,
  SimilarIncident,
  SuppressionPage,
  SuppressionPreview,
  SuppressionTarget,
  SystemStatus,
  Unit,
  UnitPosture,
  UnitStanding,
} from './types';

const EVENTS_PER_PAGE = 100;

/** Whether an incident in this state belongs to what the filter lets through. */
function letsState(filter: string, state: IncidentState): boolean {
  // What was opened just now has time left.
  if (filter === 'overdue') return false;
  const over = state === 'resolved' || state === 'closed';
  return filter.split(',').some((each) => each === 'all' || each === state || (each === 'open' && !over));
}

/** Whether the list is not given, or holds one of the values. */
function names(list: string | undefined, values: string[]): boolean {
  return !list || list.split(',').some((each) => values.includes(each));
}

/** Whether an incident belongs to what the filter lets through; `below` are the units that `unit_below` means. */
export function lets(filter: IncidentFilter, incident: Incident, below?: ReadonlySet<string>): boolean {
  const last = Date.parse(incident.last_event_at);
  return (
    letsState(filter.state ?? 'all', incident.state) &&
    names(filter.severity, [incident.severity]) &&
    names(filter.unit, [incident.unit]) &&
    (!filter.unit_below || filter.unit_below === incident.unit || below?.has(incident.unit) === true) &&
    names(filter.rule, [incident.rule?.id]) &&
    names(filter.assignee, [incident.assignee || '~none']) &&
    names(filter.tactic, incident.tactics ?? []) &&
    (!filter.host || filter.host === incident.host) &&
    (!filter.verdict || filter.verdict === incident.verdict) &&
    (!filter.entity || incident.entities.some(({ kind, value }) => `${kind}:${value}` === filter.entity)) &&
    !(filter.from && last < Date.parse(filter.from)) &&
    !(filter.to && last >= Date.parse(filter.to))
  );
}

interface IncidentPageOptions {
  signal?: AbortSignal;
  limit?: number;
}

export function incidentPage(
  filter: IncidentFilter,
  cursor: string | null,
  { signal, limit = INCIDENTS_PER_PAGE }: IncidentPageOptions = {},
) {
  return call<IncidentPage>(incidentPagePath(filter, cursor, limit), signal ? { signal } : {});
}

/** Never stale by itself: rows change in place through the live stream, and move only when asked to. */
export function incidentsQuery(filter: IncidentFilter) {
  return infiniteQueryOptions({
    queryKey: ['incidents', filter],
    queryFn: ({ pageParam, signal }) => incidentPage(filter, pageParam, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Counts beside the list, and when its incidents happened. */
export function facetsQuery({ sort: _, ...filter }: IncidentFilter) {
  return queryOptions({
    queryKey: ['facets', filter],
    queryFn: ({ signal }) => {
      // Bars of the histogram begin where the days of the reader do.
      const parameters = { ...filterParameters(filter), utc_offset_minutes: INDOCHINA_OFFSET_MINUTES };
      return call<Facets>(`/incidents/facets${query(parameters)}`, { signal });
    },
    staleTime: 10_000,
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  });
}

export function incidentQuery(id: string) {
  return queryOptions({
    queryKey: ['incident', id],
    queryFn: ({ signal }) => call<IncidentDetail>(`/incidents/${encodeURIComponent(id)}`, { signal }),
    staleTime: 10_000,
  });
}

/** Why rules matched the incident's events: the first ones, or the one that is named. */
export function explanationsQuery(id: string, event?: string) {
  return queryOptions({
    queryKey: ['explanations', id, event],
    queryFn: ({ signal }) =>
      call<{ items: Explained[] }>(
        `/incidents/${encodeURIComponent(id)}/explanations${query({ event_id: event })}`,
        { signal },
      ),
    // An event and the rule's text of then do not change.
    staleTime: Number.POSITIVE_INFINITY,
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
  /** RFC 3339; without it from the beginning. */
  from?: string;
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

/** Fields of what a search finds, with their most frequent values. */
export function eventFieldsQuery({ from, to, text }: EventSearch) {
  return queryOptions({
    queryKey: ['event fields', from, to, text],
    queryFn: ({ signal }) => call<EventFields>(`/events/fields${query({ from, to, q: text })}`, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  });
}

/** When all that a search finds happened. */
export function eventHistogramQuery({ from, to, text }: EventSearch) {
  return queryOptions({
    queryKey: ['event histogram', from, to, text],
    queryFn: ({ signal }) =>
      call<EventHistogram>(`/events/histogram${query({ from, to, q: text })}`, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  });
}

/** Events around one on the same host. */
export function neighboursQuery(id: string) {
  return queryOptions({
    queryKey: ['neighbours', id],
    queryFn: ({ signal }) =>
      call<EventNeighbours>(`/events/${encodeURIComponent(id)}/neighbours`, { signal }),
    staleTime: 60_000,
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
      call<SuppressionPreview>('/suppressions/preview', {
        method: 'POST',
        body: target,
        asks: true,
        signal,
      }),
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
  refetchInterval: 5_000,
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

/** Names of people to whom an incident may be assigned. */
export const assigneesQuery = queryOptions({
  queryKey: ['assignees'],
  queryFn: ({ signal }) => call<{ items: string[] }>('/assignees', { signal }),
  staleTime: 60_000,
});

/** The incident of that number, or `null`. */
export function incidentByNumberQuery(number: number) {
  return queryOptions({
    queryKey: ['incident number', number],
    queryFn: async ({ signal }) => {
      // The list goes down from the cursor, which is a number.
      const page = await incidentPage({}, String(number + 1), { signal, limit: 1 });
      return page.items.find((each) => each.number === number) ?? null;
    },
    staleTime: 10_000,
  });
}

export const peopleQuery = queryOptions({
  queryKey: ['people'],
  queryFn: ({ signal }) => call<{ items: Person[] }>('/users', { signal }),
});

export const tokensQuery = queryOptions({
  queryKey: ['tokens'],
  queryFn: ({ signal }) => call<{ items: ApiToken[] }>('/tokens', { signal }),
});

export const unitsQuery = queryOptions({
  queryKey: ['units'],
  queryFn: ({ signal }) => call<{ items: Unit[] }>('/units', { signal }),
  staleTime: 30_000,
});

/** What the audit log lets through; what is not named lets everything through. */
export interface AuditFilter {
  /** A person's name, or `token:` and a token's name. */
  who?: string;
  /** How an action begins: `POST`, `POST /api/v1/session`. */
  action?: string;
  /** How the address that was asked begins: `/api/v1/incidents/`. */
  subject?: string;
  /** Not before, RFC 3339. */
  from?: string;
  /** Before, RFC 3339. */
  to?: string;
}

export function auditQuery(filter: AuditFilter) {
  return infiniteQueryOptions({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam, signal }) =>
      call<AuditPage>(`/audit${query({ ...filter, cursor: pageParam })}`, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
  });
}

/** A person's own views of all screens. */
export const viewsQuery = queryOptions({
  queryKey: ['views'],
  queryFn: ({ signal }) => call<{ items: SavedView[] }>('/views', { signal }),
  staleTime: 60_000,
});

export function attackQuery(days: number) {
  return queryOptions({
    queryKey: ['attack', days],
    queryFn: ({ signal }) => call<AttackCoverage>(`/attack${query({ days })}`, { signal }),
    staleTime: 30_000,
    placeholderData: keepPreviousData,
  });
}

/** Where a rule is read and switched: its days begin where the days of the reader do. */
export function ruleDetailPath(id: string): string {
  return `/rules/${encodeURIComponent(id)}${query({ utc_offset_minutes: INDOCHINA_OFFSET_MINUTES })}`;
}

export function ruleDetailQuery(id: string) {
  return queryOptions({
    queryKey: ['rule detail', id],
    queryFn: ({ signal }) => call<RuleDetail>(ruleDetailPath(id), { signal }),
    staleTime: 30_000,
  });
}

export function entityQuery(kind: string, value: string) {
  return queryOptions({
    queryKey: ['entity', kind, value],
    queryFn: ({ signal }) =>
      call<EntityDetail>(`/entities/${encodeURIComponent(kind)}/${encodeURIComponent(value)}`, { signal }),
    staleTime: 30_000,
  });
}

export const posturesQuery = queryOptions({
  queryKey: ['postures'],
  queryFn: ({ signal }) => call<{ items: UnitStanding[] }>('/postures', { signal }),
  staleTime: 30_000,
  refetchInterval: 60_000,
});

export function postureQuery(unit: string) {
  return queryOptions({
    queryKey: ['posture', unit],
    queryFn: ({ signal }) => call<UnitPosture>(`/units/${encodeURIComponent(unit)}/posture`, { signal }),
    staleTime: 30_000,
  });
}
