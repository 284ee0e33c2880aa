/** What is done with incidents from the list: which keys, to which of them, and how it is undone. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { Incident, Verdict } from '../api/types';
import type { IncidentChange } from './change';

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

function verdictAction(
  key: string,
  verdict: Verdict,
  words: MessageDescriptor,
  done: MessageDescriptor,
): TriageAction {
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
  verdictAction('t', 'true_positive', msg`true positive`, msg`Verdict: true positive`),
  verdictAction('b', 'benign_true_positive', msg`benign true positive`, msg`Verdict: benign true positive`),
  verdictAction('f', 'false_positive', msg`false positive`, msg`Verdict: false positive`),
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

/** An incident in a bulk change, with the version that it was decided on. */
export interface Versioned {
  id: string;
  version: number;
}

export interface BulkAnswer {
  changed: Versioned[];
  failed: { id: string; reason: string }[];
}

/** A part of a change, or of taking one back: the same for all of its incidents. */
export interface BulkPart {
  items: Versioned[];
  change: IncidentChange;
}

/** What the server takes in one request. */
const BULK_MAX = 1_000;

/** Cut into requests that the server takes. */
export function partsOf(items: Versioned[], change: IncidentChange): BulkPart[] {
  const parts: BulkPart[] = [];
  for (let at = 0; at < items.length; at += BULK_MAX) {
    parts.push({ items: items.slice(at, at + BULK_MAX), change });
  }
  return parts;
}

/** The fields of `change` as they were in `incident`. */
function formerOf(incident: Incident, change: IncidentChange): IncidentChange {
  return {
    ...('state' in change && { state: incident.state }),
    ...('verdict' in change && { verdict: incident.verdict ?? null }),
    ...('verdict_reason' in change && { verdict_reason: incident.verdict_reason ?? null }),
    ...('assignee' in change && { assignee: incident.assignee ?? null }),
  };
}

/** What sets back those that were changed: one part for each former state. */
export function undoOf(before: Incident[], change: IncidentChange, changed: Versioned[]): BulkPart[] {
  const versions = new Map(changed.map(({ id, version }) => [id, version]));
  const groups = new Map<string, BulkPart>();
  for (const incident of before) {
    const version = versions.get(incident.id);
    // Not changed, so there is nothing to set back.
    if (version === undefined || version === incident.version) continue;
    const former = formerOf(incident, change);
    const key = JSON.stringify(former);
    const group = groups.get(key) ?? { items: [], change: former };
    group.items.push({ id: incident.id, version });
    groups.set(key, group);
  }
  return [...groups.values()].flatMap((group) => partsOf(group.items, group.change));
}
