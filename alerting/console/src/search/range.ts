/** The time that a search looks at: the last so many, or from one moment to another. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { millisOf } from '../text/time';

export const RANGES = ['15m', '1h', '6h', '24h', '7d', '30d', 'all'] as const;
export type RangeName = (typeof RANGES)[number];

export const RANGE_DEFAULT: RangeName = '24h';

export const RANGE_WORDS: Record<RangeName, MessageDescriptor> = {
  '15m': msg`Last 15 minutes`,
  '1h': msg`Last hour`,
  '6h': msg`Last 6 hours`,
  '24h': msg`Last 24 hours`,
  '7d': msg`Last 7 days`,
  '30d': msg`Last 30 days`,
  all: msg`All time`,
};

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const LENGTH_MS: Record<RangeName, number> = {
  '15m': 15 * MINUTE_MS,
  '1h': 60 * MINUTE_MS,
  '6h': 6 * 60 * MINUTE_MS,
  '24h': DAY_MS,
  '7d': 7 * DAY_MS,
  '30d': 30 * DAY_MS,
  all: Number.POSITIVE_INFINITY,
};

/** Clocks of the city's systems may be ahead of ours; their newest events are to be found all the same. */
const AHEAD_MS = 5 * MINUTE_MS;

export interface TimeRange {
  /** `null` when the address holds its own from and to. */
  name: RangeName | null;
  fromMillis: number;
  toMillis: number;
}

/** The range that an address names, seen from `now`. */
export function rangeOf(search: { range?: string; from?: string; to?: string }, now: number): TimeRange {
  const from = search.from ? millisOf(search.from) : null;
  const to = search.to ? millisOf(search.to) : null;
  if (!search.range && (from !== null || to !== null)) {
    return { name: null, fromMillis: from ?? 0, toMillis: to ?? now + AHEAD_MS };
  }
  const name = RANGES.find((each) => each === search.range) ?? RANGE_DEFAULT;
  return { name, fromMillis: Math.max(0, now - LENGTH_MS[name]), toMillis: now + AHEAD_MS };
}

/** The next wider range, or `null` when there is none. */
export function widerThan(name: RangeName | null): RangeName | null {
  if (name === null) return 'all';
  return RANGES[RANGES.indexOf(name) + 1] ?? null;
}
