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

/** A time within which something must be done about an incident. */
export interface IncidentClock {
  /** `acknowledge`, `resolve`, or `report:` and a name. */
  name: string;
  due_at: string;
  met_at: string | null;
  /** Of a report: where it is to be found. */
  reference?: string;
}

export interface Incident {
  id: string;
  number: number;
  title: string;
  /** In Vietnamese; empty where the rule has no such title. */
  title_vi: string;
  severity: Severity;
  state: IncidentState;
  unit: string;
  host: string;
  entities: Entity[];
  rule: { id: string; title: string; title_vi: string; level: string; correlation: boolean };
  tags: string[];
  /** How urgent it is; the higher, the sooner. */
  score?: number;
  /** ATT&CK's tactics of its rules. */
  tactics?: string[];
  alert_count: number;
  event_count: number;
  first_event_at: string;
  last_event_at: string;
  created_at: string;
  updated_at: string;
  assignee?: string | null;
  verdict?: Verdict | null;
  verdict_reason?: string | null;
  acknowledged_at?: string | null;
  resolved_at?: string | null;
  closed_at?: string | null;
  /** The first to run out first. */
  clocks: IncidentClock[];
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
  /** In Vietnamese; empty where the rule says nothing in it. */
  title_vi: string;
  level: string;
  description: string;
  description_vi: string;
  tags: string[];
  text: string;
  content_hash: string;
  correlation: boolean;
}

/** A rule that raised alerts, with what became of them in the units that may be seen. */
export interface RuleFigures extends Omit<RuleText, 'text'> {
  /** Only where one rule is asked for. */
  text?: string;
  /** Versions that raised alerts. */
  versions: number;
  incidents: number;
  open: number;
  alerts: number;
  events: number;
  true_positives: number;
  benign_true_positives: number;
  false_positives: number;
  /** Matches that suppressions hid. */
  hidden: number;
  last_event_at: string | null;
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

/** A value of a facet with the number of incidents that have it. */
export interface FacetCount {
  /** As the filter takes it. */
  value: string;
  /** What people call it, where that is something else. */
  label: string;
  label_vi: string;
  count: number;
}

export const FACETS = ['severity', 'state', 'unit', 'assignee', 'rule', 'tactic'] as const;
export type FacetName = (typeof FACETS)[number];

export interface Facets extends Record<FacetName, FacetCount[]> {
  total: number;
  /** By their last event; bars that are empty are left out. */
  histogram: { seconds: number; bars: ({ at: string } & Record<Severity, number>)[] };
}

export const VERDICTS = ['true_positive', 'benign_true_positive', 'false_positive'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** An incident that resembles another. */
export interface SimilarIncident extends Incident {
  same_rule: boolean;
  /** Entities that both name. */
  shared_entities: number;
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

export interface SuppressionField {
  name: string;
  value: string;
}

/** What a suppression hides: all that is named must hold; an empty text stands for any. */
export interface SuppressionTarget {
  rule_id: string;
  /** With the units below it. */
  unit: string;
  host: string;
  fields: SuppressionField[];
}

export interface Suppression extends SuppressionTarget {
  id: string;
  rule_title: string;
  reason: string;
  created_by: string;
  created_at: string;
  ends_at: string;
  ended_at: string | null;
  ended_by: string | null;
  active: boolean;
  match_count: number;
  event_count: number;
  last_hidden_at: string | null;
}

export interface SuppressionPage {
  items: Suppression[];
  next_cursor: string | null;
}

/** What a suppression would have hidden since a time. */
export interface SuppressionPreview {
  since: string;
  alerts: number;
  alerts_in_part: number;
  events: number;
  incidents: number;
  incidents_in_part: number;
  true_positives: number;
  false_positives: number;
  complete: boolean;
  items: {
    id: string;
    number: number;
    title: string;
    severity: Severity;
    state: IncidentState;
    verdict: string | null;
    whole: boolean;
  }[];
}

export interface HiddenMatch {
  id: string;
  number: number;
  rule_id: string;
  rule_title: string;
  severity: Severity;
  unit: string;
  host: string;
  event_time: string;
  event_count: number;
  event_id: string;
  raw: string;
  hidden_at: string;
}

export interface HiddenPage {
  items: HiddenMatch[];
  next_cursor: string | null;
}

export const SUBJECTS = ['opened', 'overdue'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** Where notifications go, as somebody wants it. */
export interface RouteWish {
  name: string;
  kind: 'email' | 'webhook';
  /** Addresses with commas between, or a URL. */
  target: string;
  /** With the units below it; empty: the whole city. */
  unit: string;
  severity_min: Severity;
  subjects: Subject[];
  group_minutes: number;
  /** Empty: the program's own text. */
  template: string;
  enabled: boolean;
}

export interface NotificationRoute extends RouteWish {
  id: string;
  created_by: string;
  created_at: string;
  version: number;
  /** Only in the answer that made it. */
  secret?: string;
}

export interface NotificationRoutes {
  items: NotificationRoute[];
  /** Whether there is a mail server. */
  email: boolean;
}

export interface NotificationMessage {
  id: string;
  route_id: string;
  route_name: string;
  state: 'waiting' | 'sent' | 'failed';
  item_count: number;
  attempts: number;
  created_at: string;
  next_attempt_at: string | null;
  sent_at: string | null;
  last_error: string;
}

export interface NotificationMessages {
  items: NotificationMessage[];
  next_cursor: string | null;
}

export interface Person {
  id: string;
  name: string;
  role: string;
  /** The unit whose subtree the person sees; empty for the whole city. */
  unit: string;
  disabled: boolean;
  created_at: string;
  version: number;
}

/** A password that is told this once. */
export interface FirstPassword {
  name: string;
  password: string;
}

export interface ApiToken {
  id: string;
  name: string;
  role: string;
  unit: string;
  created_by: string;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
  last_used_at: string | null;
}

export interface Unit {
  /** Never changes: events carry it. */
  id: string;
  name: string;
  /** Empty at the top. */
  parent: string;
}

/** A line of the audit log. */
export interface AuditEntry {
  sequence: number;
  at: string;
  who: string;
  role: string;
  address: string;
  action: string;
  subject: string;
  detail: string;
  hash: string;
}

export interface AuditPage {
  items: AuditEntry[];
  next_cursor: string | null;
}

/** A technique of ATT&CK that a rule names. */
export interface AttackTechnique {
  /** `T1110.001` */
  id: string;
  /** Tactics that the same rules name. */
  tactics: string[];
  rules: { id: string; title: string; title_vi: string; loaded: boolean; alerts: number }[];
  alerts: number;
  events: number;
}

/** What the rules look for, and what they found. */
export interface AttackCoverage {
  days: number;
  rules_loaded: number;
  /** In the order of an attack. */
  tactics: { name: string; rules: number; alerts: number }[];
  techniques: AttackTechnique[];
}

/** What the server says of itself; its parts differ with how it was started. */
export type SystemStatus = { [part: string]: FieldValue };

/** RFC 9457. */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  /** Each input that was wrong, and why; `detail` says the same in a sentence. */
  errors?: { field: string; reason: string }[];
}
