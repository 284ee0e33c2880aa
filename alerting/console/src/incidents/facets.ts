/** Choosing values of facets, and the histogram that the server counts. */
import type { IncidentFilter } from '../api/incidentFilter';
import type { Facets } from '../api/types';
import { type Buckets, bucketsOf as filled } from '../search/buckets';

export interface FacetsProps {
  filter: IncidentFilter;
  /** Counting is dearer than listing: the rows come first. */
  wanted: boolean;
}

/** A list of names with one more, or one less. */
export function toggled(list: string | undefined, value: string): string | undefined {
  const names = list ? list.split(',') : [];
  const kept = names.filter((each) => each !== value);
  return (kept.length < names.length ? kept : [...names, value]).join(',') || undefined;
}

/** The bars with the empty ones between them; `null` when there is nothing to draw. */
export function bucketsOf({ seconds, bars }: Facets['histogram']): Buckets | null {
  const counted = bars.map((bar) => ({
    at: Date.parse(bar.at) / 1000,
    count: bar.critical + bar.high + bar.medium + bar.low + bar.informational,
  }));
  return filled(counted, seconds);
}
