import type { RuleDetail } from '../api/types';
import type { Buckets } from '../search/buckets';
import { INDOCHINA_OFFSET_MINUTES } from '../text/time';

const DAY_MS = 86_400_000;
const AHEAD_MS = INDOCHINA_OFFSET_MINUTES * 60_000;
const DAYS = 30;

/** Alerts per day of the reader's clock up to `now`, with the days on which nothing happened. */
export function bucketsOfDays(days: RuleDetail['days'], now: number): Buckets {
  const today = dayOf(now);
  const counts = new Array<number>(DAYS).fill(0);
  for (const { at, alerts } of days) {
    const place = DAYS - 1 - (today - dayOf(Date.parse(at)));
    if (place >= 0 && place < DAYS) counts[place] = (counts[place] ?? 0) + alerts;
  }
  const starts = counts.map((_, place) => ((today - DAYS + 1 + place) * DAY_MS - AHEAD_MS) / 1000);
  return { starts, counts, widthMillis: DAY_MS };
}

function dayOf(millis: number): number {
  return Math.floor((millis + AHEAD_MS) / DAY_MS);
}
