/**
 * The shapes of `/api/v1` by the names that the pages use; most are those of the server's OpenAPI document.
 * Times are RFC 3339 in UTC, ids are opaque text.
 */
import type { components } from './schema';

type Schemas = components['schemas'];

export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'informational'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const INCIDENT_STATES = ['new', 'acknowledged', 'in_progress', 'resolved', 'closed'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];

export interface Session {
  user: {
    name: string;
    role: string;
    /** The unit whose subtree is seen; empty for the whole city. */
    unit: string;
  };
  /** Sent back as `X-CSRF-Token` with every request that changes something. */
  csrf: string;
}

export interface NamedValue {
  name: string;
  value: FieldValue;
}

export type FieldValue = string | number | boolean | null | FieldValue[] | { [name: string]: FieldValue };

export type Entity = Schemas['Entity'];

/** A time within which something must be done about an incident. */
export type IncidentClock = Schemas['IncidentClock'];

export type Incident = Schemas['Incident'];

export interface Alert extends Omit<Schemas['Alert'], 'group'> {
  group: NamedValue[];
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

export type RuleText = Schemas['RuleText'];

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
  /** Of the incidents that were judged, the part judged a false positive; `null` where none was. */
  false_positive_share: number | null;
  /** Matches that suppressions hid. */
  hidden: number;
  last_event_at: string | null;
  /** What judging it costs, where it is one of the dearest. */
  cost?: { share: number; seconds: number } | null;
}

/** A part of a rule's condition, judged on an event or only named. */
export type ConditionPart = Schemas['ConditionPart'];

/** Why a rule matched an event. */
export type Explained = Schemas['Explained'];

export const WHYS = [
  'switched_on',
  'switched_off',
  'configured_on',
  'configured_off',
  'level',
  'status',
  'fits',
] as const;
/** Why a rule's matches become alerts, or do not. */
export type Why = (typeof WHYS)[number];

/** A rule with all that is known of it. */
export interface RuleDetail extends RuleFigures {
  text: string;
  /** None of a correlation. */
  condition?: ConditionPart | null;
  status: string;
  loaded: boolean;
  alerts_on: boolean;
  why: Why;
  /** Matches that were not shown because the rule is switched off. */
  switched_off: number;
  /** The last 30 days, without those on which nothing happened. */
  days: { at: string; alerts: number; events: number }[];
  /** What a lead decided. */
  switch?: { alerts?: boolean | null; reason: string; changed_by: string; changed_at: string } | null;
  /** Goes back as `If-Match`; 0 where nobody decided anything. */
  version: number;
}

/** What is known of a host, a user, an address, a file or a digest. */
export type EntityDetail = Schemas['EntityPage'];

/** How a unit stands, with those below it. */
export type UnitPosture = Schemas['Posture'];

/** How a unit of the tree stands, with those below it. */
export type UnitStanding = Schemas['UnitStanding'];

export type HistoryEntry = Schemas['HistoryEntry'];

export interface IncidentDetail extends Incident {
  alerts: Alert[];
  events: EvidenceEvent[];
  rules: RuleText[];
  history: HistoryEntry[];
}

/** A value of a facet with the number of incidents that have it. */
export type FacetCount = Schemas['FacetCount'];

export const FACETS = ['severity', 'state', 'unit', 'assignee', 'rule', 'tactic'] as const;
export type FacetName = (typeof FACETS)[number];

export type Facets = Schemas['Facets'];

export const VERDICTS = ['true_positive', 'benign_true_positive', 'false_positive'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** An incident that resembles another. */
export type SimilarIncident = Schemas['SimilarIncident'];

export type IncidentPage = Schemas['IncidentPage'];

/** A row of the search. Texts that the event does not have are empty, addresses and ports null. */
export type EventRow = Schemas['EventRow'];

export interface EventDetail extends EventRow {
  fields: NamedValue[];
  /** Whom and what it names. */
  entities: Entity[];
  /** What was wrong with the record. */
  problems?: string[];
}

export type EventPage = Schemas['EventPage'];

/** Fields of what a search finds. */
export type EventFields = Schemas['FieldList'];

/** A field with its most frequent values. */
export type EventField = Schemas['FieldTop'];

export type EventHistogram = Schemas['EventHistogram'];

export type EventNeighbours = Schemas['EventNeighbours'];

/** A filter that somebody keeps under a name. */
export type SavedView = Schemas['SavedView'];

export interface SuppressionField {
  name: string;
  value: string;
}

/** What a suppression hides: all that is named must hold; an empty text stands for any. */
export type SuppressionTarget = Schemas['SuppressionTarget'];

export type Suppression = Schemas['Suppression'];

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
    title_vi: string;
    severity: Severity;
    state: IncidentState;
    verdict: string | null;
    whole: boolean;
  }[];
}

export type HiddenMatch = Schemas['HiddenMatch'];

export interface HiddenPage {
  items: HiddenMatch[];
  next_cursor: string | null;
}

/** What is told of; a test is sent when somebody asks for it. */
export type Subject = Schemas['Subject'];

/** What a route may be asked to tell. */
export const SUBJECTS = ['opened', 'overdue'] as const satisfies Subject[];

/** Where notifications go. */
export type NotificationRoute = Schemas['NotificationRoute'];

/** As somebody wants it: every field is in the form. */
export type RouteWish = Required<Schemas['RouteWanted']>;

/** With the secret of a webhook, told this once. */
export type MadeRoute = Schemas['MadeRoute'];

export type NotificationRoutes = Schemas['RouteList'];

export interface NotificationMessage extends Omit<Schemas['NotificationMessage'], 'state'> {
  state: 'waiting' | 'sent' | 'failed';
}

export interface NotificationMessages {
  items: NotificationMessage[];
  next_cursor: string | null;
}

export type Person = Schemas['Person'];

/** A password that is told this once. */
export type FirstPassword = Schemas['NewPassword'];

export type ApiToken = Schemas['ApiToken'];

export type Unit = Schemas['Unit'];

/** A line of the audit log. */
export type AuditEntry = Schemas['AuditEntry'];

export interface AuditPage {
  items: AuditEntry[];
  next_cursor: string | null;
}

/** A technique of ATT&CK that a rule names. */
export type AttackTechnique = Schemas['AttackTechnique'];

/** What the rules look for, and what they found. */
export type AttackCoverage = Schemas['Coverage'];

/** What the server says of itself; its parts differ with how it was started. */
export type SystemStatus = { [part: string]: FieldValue };

/** RFC 9457, or as much of it as whoever answered knows. */
export type Problem = Partial<Schemas['Problem']>;
