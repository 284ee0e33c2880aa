/** What is done with incidents from the list: which keys, to which of them, and how it is undone. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { components } from '../api/schema';
import type { Incident, Verdict } from '../api/types';
import type { IncidentChange } from './change';

type Schemas = components['schemas'];

export interface TriageAction {
  key: string;
  words: MessageDescriptor;
  /** What was done, for the note about it. */
  done: MessageDescriptor;
  /** Whether it would change this incident. */
  fits: (incident: Incident, me: string) => boolean;
  change: (me: string) => IncidentChange;
  verdict?: Verdict;
}

/** The key of each verdict. */
export const VERDICT_KEYS: Record<Verdict, string> = {
  true_positive: 't',
  benign_true_positive: 'b',
  false_positive: 'f',
};

function verdictAction(verdict: Verdict, words: MessageDescriptor, done: MessageDescriptor): TriageAction {
  const key = VERDICT_KEYS[verdict];
  return { key, words, done, verdict, fits: (each) => each.verdict !== verdict, change: () => ({ verdict }) };
}

const isOver = ({ state }: Incident) => state === 'resolved' || state === 'closed';

export const TRIAGE_ACTIONS: TriageAction[] = [
  {
    key: 'e',
    words: msg`Acknowledge`,
    done: msg`Acknowledged`,
    fits: ({ state }) => state === 'new',
    change: () => ({ state: 'acknowledged' }),
  },
  {
    key: 'a',
    words: msg`Assign to me`,
    done: msg`Assigned to you`,
    fits: ({ assignee }, me) => assignee !== me,
    change: (me) => ({ assignee: me }),
  },
  verdictAction('true_positive', msg`true positive`, msg`Verdict: true positive`),
  verdictAction('benign_true_positive', msg`benign true positive`, msg`Verdict: benign true positive`),
  verdictAction('false_positive', msg`false positive`, msg`Verdict: false positive`),
  {
    key: 'r',
    words: msg`Resolve`,
    done: msg`Resolved`,
    fits: (incident) => !isOver(incident),
    change: () => ({ state: 'resolved' }),
  },
  {
    key: 'c',
    words: msg`Close`,
    done: msg`Closed`,
    fits: ({ state }) => state === 'resolved',
    change: () => ({ state: 'closed' }),
  },
];

/** A change of some incidents. */
export interface Deed {
  incidents: Incident[];
  change: IncidentChange;
}

/** Closes incidents: those without a verdict with this one, for what is closed has one. */
export function closingOf(incidents: Incident[], verdict?: Verdict): Deed[] {
  const judged = incidents.filter((each) => each.verdict);
  const others = incidents.filter((each) => !each.verdict);
  return [
    { incidents: judged, change: { state: 'closed' } satisfies IncidentChange },
    { incidents: others, change: { state: 'closed', ...(verdict && { verdict }) } satisfies IncidentChange },
  ].filter((deed) => deed.incidents.length > 0);
}

/** An incident in a bulk change, with the version that it was decided on. */
export type Versioned = Schemas['BulkItem'];

export type BulkAnswer = Schemas['BulkOutcome'];

/** What brings one incident back to what it was. */
export type UndoItem = Schemas['UndoItem'];

/** What the server takes in one request. */
const BULK_MAX = 1_000;

/** Cut into requests that the server takes. */
export function partsOf<T>(items: T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += BULK_MAX) parts.push(items.slice(at, at + BULK_MAX));
  return parts;
}

/** What takes a change back, of those incidents of which it changed something. */
export function undoOf(change: IncidentChange, changed: BulkAnswer['changed']): UndoItem[] {
  const fields = Object.keys(change) as (keyof IncidentChange)[];
  return changed
    .filter(({ before }) => fields.some((field) => (before[field] ?? null) !== (change[field] ?? null)))
    .map(({ id, version, before }) => ({ id, version, before }));
}
