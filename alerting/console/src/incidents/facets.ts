/** Choosing values of facets, and the histogram that the server counts. */
import type { Facets } from '../api/types';
import type { Buckets } from '../search/buckets';

/** A list of names with one more, or one less. */
export function toggled(list: string | undefined, value: string): string | undefined {
  const names = list ? list.split(',') : [];
  const kept = names.filter((each) => each !== value);
  return (kept.length < names.length ? kept : [...names, value]).join(',') || undefined;
}

const BUCKETS_MAX = 400;

/** The bars with the empty ones between them; `null` when there is nothing to draw. */
export function bucketsOf({ seconds, bars }: Facets['histogram']): Buckets | null {
  const counted = bars.map((bar) => ({
    at: Date.parse(bar.at) / 1000,
    count: bar.critical + bar.high + bar.medium + bar.low + bar.informational,
  }));
  const [first] = counted;
  const last = counted.at(-1);
  if (!first || !last || seconds <= 0) return null;
  // One more on each side: a single bar is not the whole width.
  const length = Math.min(BUCKETS_MAX, Math.round((last.at - first.at) / seconds) + 3);
  const starts = Array.from({ length }, (_, at) => first.at + (at - 1) * seconds);
  const counts = new Array<number>(length).fill(0);
  for (const { at, count } of counted) {
    const place = Math.round((at - first.at) / seconds) + 1;
    if (place < length) counts[place] = (counts[place] ?? 0) + count;
  }
  return { starts, counts, widthMillis: seconds * 1000 };
}
