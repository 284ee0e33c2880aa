/** Counts in equal slices of time. */

export interface Buckets {
  /** Start of each slice, seconds. */
  starts: number[];
  counts: number[];
  widthMillis: number;
}

/** The server draws about 60; a list that is cut nowhere is shorter than this. */
const BUCKETS_MAX = 400;

/**
 * Counted slices, the earliest first, with the empty ones between them; `null` when there is nothing to draw.
 * Seconds throughout. `span` is what was asked for, and shown where nothing is in it, too.
 */
export function bucketsOf(
  counted: { at: number; count: number }[],
  width: number,
  span?: { from: number; to: number },
): Buckets | null {
  const first = counted[0];
  const last = counted.at(-1);
  if (!first || !last || width <= 0) return null;
  // Without a span one more on each side: a single bar is not the whole width.
  const before = span ? Math.max(0, Math.ceil((first.at - span.from) / width)) : 1;
  const after = span ? Math.max(0, Math.ceil((span.to - last.at) / width) - 1) : 1;
  const between = Math.round((last.at - first.at) / width) + 1;
  const length = Math.min(BUCKETS_MAX, before + between + after);
  const begin = first.at - before * width;
  const counts = new Array<number>(length).fill(0);
  for (const { at, count } of counted) {
    const place = Math.round((at - begin) / width);
    if (place < length) counts[place] = (counts[place] ?? 0) + count;
  }
  return {
    starts: counts.map((_, at) => begin + at * width),
    counts,
    widthMillis: width * 1000,
  };
}
