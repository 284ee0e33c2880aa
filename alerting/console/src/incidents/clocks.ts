/** What a clock of an incident says at a time. */
import type { IncidentClock } from '../api/types';

export type ClockState = 'met' | 'met-late' | 'overdue' | 'soon' | 'running';

const SOON_MS = 3_600_000;

export function stateOf(clock: IncidentClock, now: number): ClockState {
  const due = Date.parse(clock.due_at);
  if (clock.met_at) return Date.parse(clock.met_at) <= due ? 'met' : 'met-late';
  if (now >= due) return 'overdue';
  return due - now < SOON_MS ? 'soon' : 'running';
}

/** The one that matters next: of those that wait, the first to run out. */
export function nextOf(clocks: IncidentClock[]): IncidentClock | undefined {
  return clocks
    .filter((clock) => !clock.met_at)
    .sort((a, b) => Date.parse(a.due_at) - Date.parse(b.due_at))[0];
}

/** Whole units of a span: "3 h", "25 min", "2 d"; rounded so that a time left is never told too long. */
export function spanOf(ms: number): { value: number; unit: 'minute' | 'hour' | 'day' } {
  const minutes = Math.floor(Math.abs(ms) / 60_000);
  if (minutes < 120) return { value: minutes, unit: 'minute' };
  if (minutes < 48 * 60) return { value: Math.floor(minutes / 60), unit: 'hour' };
  return { value: Math.floor(minutes / 1_440), unit: 'day' };
}
