/**
 * The shapes of `/api/v1` by the names that the pages use; most are those of the server's OpenAPI document.
 * Times are RFC 3339 in UTC, ids are opaque text.
 */
import type { components } from './schema';

type Schemas = components['schemas'];

/** A part of a list, and where the next one begins. */
interface PageOf<T> {
  items: T[];
  next_cursor: string | null;
}

export type Severity = Schemas['Severity'];
export const SEVERITIES = [
  'critical',
  'high',
  'medium',
  'low',
  'informational',
] as const satisfies Severity[];

export type IncidentState = Schemas['IncidentState'];
export const INCIDENT_STATES = [
  'new',
  'acknowledged',
  'in_progress',
  'resolved',
  'closed',
] as const satisfies IncidentState[];

/** Who is signed in. */
export type Session = Schemas['Session'];

export type NamedValue = Schemas['NameValue'];

/** A value as JSON knows it: a text, a number, yes or no, nothing, or a list or a mapping of these. */
export type FieldValue = NamedValue['value'];

export type Entity = Schemas['Entity'];

/** A time within which something must be done about an incident. */
export type IncidentClock = Schemas['IncidentClock'];

export type Incident = Schemas['Incident'];

export type Alert = Schemas['Alert'];

/** An event kept as evidence. */
export type EvidenceEvent = Schemas['EvidenceEvent'];

export type RuleText = Schemas['RuleText'];

/** A rule that raised alerts, with what became of them in the units that may be seen. */
export type RuleFigures = Schemas['RuleFigures'];

/** A part of a rule's condition, judged on an event or only named. */
export type ConditionPart = Schemas['ConditionPart'];

/** Why a rule matched an event. */
export type Explained = Schemas['Explained'];

/** Why a rule's matches become alerts, or do not. */
export type Why = Schemas['Why'];

/** A rule with all that is known of it. */
export type RuleDetail = Schemas['RuleDetail'];

/** What is known of a host, a user, an address, a file or a digest. */
export type EntityDetail = Schemas['EntityPage'];

/** How a unit stands, with those below it. */
export type UnitPosture = Schemas['Posture'];

/** How a unit of the tree stands, with those below it. */
export type UnitStanding = Schemas['UnitStanding'];

export type HistoryEntry = Schemas['HistoryEntry'];

export type IncidentDetail = Schemas['IncidentDetail'];

/** A value of a facet with the number of incidents that have it. */
export type FacetCount = Schemas['FacetCount'];

export const FACETS = ['severity', 'state', 'unit', 'assignee', 'rule', 'tactic'] as const;
export type FacetName = (typeof FACETS)[number];

export type Facets = Schemas['Facets'];

export type Verdict = Schemas['Verdict'];
export const VERDICTS = [
  'true_positive',
  'benign_true_positive',
  'false_positive',
] as const satisfies Verdict[];

/** An incident that resembles another. */
export type SimilarIncident = Schemas['SimilarIncident'];

export type IncidentPage = Schemas['IncidentPage'];

/** A row of the search. Texts that the event does not have are empty, addresses and ports null. */
export type EventRow = Schemas['EventRow'];

export type EventDetail = Schemas['EventDetail'];

export type EventPage = Schemas['EventPage'];

/** Fields of what a search finds. */
export type EventFields = Schemas['FieldList'];

/** A field with its most frequent values. */
export type EventField = Schemas['FieldTop'];

export type EventHistogram = Schemas['EventHistogram'];

export type EventNeighbours = Schemas['EventNeighbours'];

/** A filter that somebody keeps under a name. */
export type SavedView = Schemas['SavedView'];

export type SuppressionField = Schemas['SuppressionTarget']['fields'][number];

/** What a suppression hides: all that is named must hold; an empty text stands for any. */
export type SuppressionTarget = Schemas['SuppressionTarget'];

export type Suppression = Schemas['Suppression'];

export type SuppressionPage = PageOf<Suppression>;

/** What a suppression would have hidden since a time. */
export type SuppressionPreview = Schemas['SuppressionPreview'];

export type HiddenMatch = Schemas['HiddenMatch'];

export type HiddenPage = PageOf<HiddenMatch>;

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

/** That nothing gets through by a route. */
export type RouteTrouble = Schemas['RouteTrouble'];
export type DeliveryFault = Schemas['DeliveryFault'];

export type NotificationMessage = Schemas['NotificationMessage'];

export type NotificationMessages = PageOf<NotificationMessage>;

export type Person = Schemas['Person'];

/** A password that is told this once. */
export type FirstPassword = Schemas['NewPassword'];

export type ApiToken = Schemas['ApiToken'];

export type Unit = Schemas['Unit'];

/** A line of the audit log. */
export type AuditEntry = Schemas['AuditEntry'];

export type AuditPage = PageOf<AuditEntry>;

/** A technique of ATT&CK that a rule names. */
export type AttackTechnique = Schemas['AttackTechnique'];

/** What the rules look for, and what they found. */
export type AttackCoverage = Schemas['Coverage'];

/** What the server says of itself; its parts differ with how it was started. */
export type SystemStatus = { [part: string]: FieldValue };

/** Why the server refuses. */
export type Refusal = Schemas['Refusal'];

/** What is wrong with a field, and why. */
export type FieldError = Schemas['FieldError'];
export type FieldFault = Schemas['FieldFault'];

/** RFC 9457, or as much of it as whoever answered knows. */
export type Problem = Partial<Schemas['Problem']>;

/** A line of a table of units from before a merge. */
export type MergedLine = Schemas['MergedLine'];
