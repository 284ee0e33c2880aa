/** Lines of an incident's history in the reader's language, as far as the server gives them by kind. */
import type { HistoryEntry } from '../api/types';

/** What changed from what to what: the server writes `state: new -> acknowledged`. */
export interface Step {
  from: string;
  to: string;
}

const STEP = /^(?:state|unit|assignee|verdict|verdict reason): ([\s\S]*?) -> ([\s\S]*)$/;

export function stepOf(entry: HistoryEntry): Step | null {
  if (!['state', 'unit', 'assignee', 'verdict', 'verdict_reason'].includes(entry.kind ?? '')) return null;
  const match = STEP.exec(entry.what);
  if (!match) return null;
  return { from: nameless(match[1]), to: nameless(match[2]) };
}

function nameless(value: string | undefined): string {
  return !value || value === 'none' ? '' : value;
}

/** The other incident of a merge, and which way it went. */
export function mergeOf(entry: HistoryEntry): { way: 'in' | 'into'; number: string } | null {
  if (entry.kind !== 'merged') return null;
  const match = /^(took in|merged into) incident (\d+)$/.exec(entry.what);
  return match ? { way: match[1] === 'took in' ? 'in' : 'into', number: match[2] ?? '' } : null;
}

/** Which report was handed in, and where it is to be found. */
export function reportOf(entry: HistoryEntry): { clock: string; reference: string } | null {
  if (entry.kind !== 'report') return null;
  const [clock = '', ...reference] = entry.what.split(' ');
  return clock.startsWith('report:') ? { clock, reference: reference.join(' ') } : null;
}
