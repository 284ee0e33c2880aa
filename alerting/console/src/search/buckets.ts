/** Counts of events in equal slices of time. */

export interface Buckets {
  /** Start of each slice, seconds. */
  starts: number[];
  counts: number[];
  widthMillis: number;
}

/** Slices that people count in. */
const WIDTHS_MS = [
  100, 500, 1_000, 5_000, 15_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 10_800_000,
  21_600_000, 43_200_000, 86_400_000, 604_800_000, 2_592_000_000,
];

const BUCKETS_MAX = 90;
const OFFSET_MS = 7 * 3_600_000;

/** `times` in milliseconds, any order; slices of a day begin at midnight of Indochina Time. */
export function bucketsOf(times: number[], fromMillis: number, toMillis: number): Buckets {
  const width =
    WIDTHS_MS.find((each) => (toMillis - fromMillis) / each <= BUCKETS_MAX) ??
    Math.ceil((toMillis - fromMillis) / BUCKETS_MAX);
  const first = Math.floor((fromMillis + OFFSET_MS) / width) * width - OFFSET_MS;
  const length = Math.max(1, Math.ceil((toMillis - first) / width));
  const counts = new Array<number>(length).fill(0);
  for (const time of times) {
    const at = Math.floor((time - first) / width);
    if (at >= 0 && at < length) counts[at] = (counts[at] ?? 0) + 1;
  }
  return { starts: counts.map((_, at) => (first + at * width) / 1000), counts, widthMillis: width };
}
