/** Events that follow each other and say the same: a password is guessed a hundred times, and that is one thing to read. */
import type { EvidenceEvent } from '../api/types';

export interface Run {
  first: EvidenceEvent;
  /** Those like it that follow it. */
  more: EvidenceEvent[];
}

/** Of the same host and format, and matched by the same rules. */
function kindOf({ host, format, rule_ids }: EvidenceEvent): string {
  return JSON.stringify([host, format, ...rule_ids.toSorted()]);
}

/** Runs of events that stand in the order of their time. */
export function runsOf(events: EvidenceEvent[]): Run[] {
  const runs: Run[] = [];
  for (const event of events) {
    const last = runs.at(-1);
    if (last && kindOf(last.first) === kindOf(event)) last.more.push(event);
    else runs.push({ first: event, more: [] });
  }
  return runs;
}
