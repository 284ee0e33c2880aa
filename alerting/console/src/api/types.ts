/**
 * The shapes of `/api/v1`, in one place, so that a client generated from the server's OpenAPI
 * document can replace this file. Times are RFC 3339 in UTC, ids are opaque text.
 */

export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'informational'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const INCIDENT_STATES = ['new', 'acknowledged', 'in_progress', 'resolved', 'closed'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

export interface Session {
  user: { name: string; role: string };
  /** Sent back as `X-CSRF-Token` with every request that changes something. */
  csrf: string;
}

export interface NamedValue {
  name: string;
  value: FieldValue;
}

export type FieldValue = string | number | boolean | null | FieldValue[] | { [name: string]: FieldValue };

export interface Entity {
  kind: string;
  value: string;
}

export interface Incident {
  id: string;
  number: number;
  title: string;
  severity: Severity;
  state: IncidentState;
  unit: string;
  host: string;
  entities: Entity[];
  rule: { id: string; title: string; level: string; correlation: boolean };
  tags: string[];
  alert_count: number;
  event_count: number;
  first_event_at: string;
  last_event_at: string;
  created_at: string;
  updated_at: string;
  assignee?: string | null;
  verdict?: string | null;
  verdict_reason?: string | null;
  acknowledged_at?: string | null;
  resolved_at?: string | null;
  closed_at?: string | null;
  /** The incident that took this one in. */
  merged_into?: string | null;
  /** Counts changes; sent back as `If-Match`. */
  version: number;
}

export interface Alert {
  id: string;
  rule_id: string;
  rule_title: string;
  severity: Severity;
  /** Of its first event. */
  event_time: string;
  last_event_time?: string;
  /** Only of a correlation. */
  window: { start: string; end: string } | null;
  group: NamedValue[];
  event_count: number;
}

/** An event kept as evidence. */
export interface EvidenceEvent {
  id: string;
  event_time: string;
  received_at: string;
  host: string;
  unit: string;
  format: string;
  raw: string;
  fields: NamedValue[];
  /** What made a rule match; an empty name means a keyword found in the raw text. */
  matched: NamedValue[];
  rule_ids: string[];
}

export interface RuleText {
  id: string;
  title: string;
  level: string;
  description: string;
  tags: string[];
  text: string;
  content_hash: string;
  correlation: boolean;
}

export interface HistoryEntry {
  at: string;
  who: string;
  /** `opened`, `state`, `merged`, ... */
  kind?: string;
  what: string;
}

export interface IncidentDetail extends Incident {
  alerts: Alert[];
  events: EvidenceEvent[];
  rules: RuleText[];
  history: HistoryEntry[];
}

export interface IncidentPage {
  items: Incident[];
  next_cursor: string | null;
  total: number;
}

/** A row of the search. Pivots that the event does not have are empty or missing. */
export interface EventRow {
  id: string;
  event_time: string;
  received_at: string;
  host: string;
  unit: string;
  format: string;
  product?: string | null;
  category?: string | null;
  service?: string | null;
  user?: string | null;
  source_address?: string | null;
  source_port?: number | null;
  destination_address?: string | null;
  destination_port?: number | null;
  process?: string | null;
  parent_process?: string | null;
  command_line?: string | null;
  hash?: string | null;
  url?: string | null;
  event_code?: string | null;
  action?: string | null;
  outcome?: string | null;
  message?: string | null;
  raw?: string | null;
}

export interface EventDetail extends EventRow {
  fields: NamedValue[];
  /** What was wrong with the record. */
  problems?: string[];
}

export interface EventPage {
  items: EventRow[];
  next_cursor: string | null;
  elapsed_ms: number;
}

/** What the server says of itself; its parts differ with how it was started. */
export type SystemStatus = { [part: string]: FieldValue };

/** RFC 9457. */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  /** The input that was wrong. */
  field?: string;
}
