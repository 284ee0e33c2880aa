import type { RuleDetail } from '../api/types';
import type { Buckets } from '../search/buckets';

const DAY_MS = 86_400_000;
const DAYS = 30;

/** Alerts per day (UTC, as the server counts) up to `now`, with the days on which nothing happened. */
export function bucketsOfDays(days: RuleDetail['days'], now: number): Buckets {
  const today = Math.floor(now / DAY_MS);
  const counts = new Array<number>(DAYS).fill(0);
  for (const { at, alerts } of days) {
    const place = DAYS - 1 - (today - Math.floor(Date.parse(at) / DAY_MS));
    if (place >= 0 && place < DAYS) counts[place] = (counts[place] ?? 0) + alerts;
  }
  const starts = counts.map((_, place) => ((today - DAYS + 1 + place) * DAY_MS) / 1000);
  return { starts, counts, widthMillis: DAY_MS };
}
