/** Times as people here read them: Indochina Time (UTC+7, no summer time), UTC beside it. */

/** How far its clocks are ahead of UTC. */
export const INDOCHINA_OFFSET_MINUTES = 7 * 60;
const INDOCHINA_OFFSET_MS = INDOCHINA_OFFSET_MINUTES * 60_000;

/** Milliseconds of an RFC 3339 time (finer digits dropped), or `null`. */
export function millisOf(time: string): number | null {
  const millis = Date.parse(time);
  return Number.isNaN(millis) ? null : millis;
}

function pad(number: number, digits = 2): string {
  return String(number).padStart(digits, '0');
}

interface Parts {
  year: number;
  date: string;
  clock: string;
  millis: string;
}

function partsOf(millis: number, offset: number): Parts {
  const date = new Date(millis + offset);
  return {
    year: date.getUTCFullYear(),
    date: `${pad(date.getUTCDate())}/${pad(date.getUTCMonth() + 1)}`,
    clock: `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}`,
    millis: pad(date.getUTCMilliseconds(), 3),
  };
}

/** How exactly a time is shown. */
export type Precision = 'seconds' | 'milliseconds';

/** `22/11 07:30:12`, with the year when it is not this one. */
export function localTime(time: string, now: number, precision: Precision = 'seconds'): string {
  const millis = millisOf(time);
  if (millis === null) return time;
  const parts = partsOf(millis, INDOCHINA_OFFSET_MS);
  const thisYear = partsOf(now, INDOCHINA_OFFSET_MS).year;
  const date = parts.year === thisYear ? parts.date : `${parts.date}/${parts.year}`;
  return `${date} ${parts.clock}${precision === 'milliseconds' ? `.${parts.millis}` : ''}`;
}

/** `2026-11-22 00:30:12.123 UTC`, every digit that the server gave. */
export function utcTime(time: string): string {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2}(?:\.\d+)?)(?:Z|\+00:00)$/.exec(time);
  if (match) return `${match[1]} ${match[2]} UTC`;
  const millis = millisOf(time);
  return millis === null ? time : new Date(millis).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

/** `22/11/2026 07:30:12`, Indochina Time: as an input holds it, and as times are shown. */
export function inputOfMillis(millis: number): string {
  const { date, year, clock } = partsOf(millis, INDOCHINA_OFFSET_MS);
  return `${date}/${year} ${clock}`;
}

/** `2026-11-22T07:30:12`, the same for an `<input type="datetime-local">`. */
export function isoOfMillis(millis: number): string {
  return new Date(millis + INDOCHINA_OFFSET_MS).toISOString().slice(0, 19);
}

const DAY_FIRST = /^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})$/;
const YEAR_FIRST = /^(\d{4})-(\d{2})-(\d{2})$/;
const CLOCK = /^(\d{1,2})(?::(\d{2})(?::(\d{2})(?:\.\d+)?)?)?$/;

/** The time that such an input holds, also written year first or without seconds, or `null` when it holds none. */
export function millisOfInput(value: string): number | null {
  const [days = '', clock = '00', ...more] = value.trim().split(/[\sT]+/);
  const [, day, month, year] = DAY_FIRST.exec(days) ?? [];
  const [, y = year, m = month, d = day] = YEAR_FIRST.exec(days) ?? [];
  const [, hour, minute = '00', second = '00'] = CLOCK.exec(clock) ?? [];
  if (!y || !m || !d || !hour || more.length > 0) return null;
  const written = `${y}-${m.padStart(2, '0')}-${d.padStart(2, '0')}T${hour.padStart(2, '0')}:${minute}:${second}`;
  const millis = Date.parse(`${written}Z`);
  // A day or an hour that does not exist is none, not the one after.
  if (Number.isNaN(millis) || new Date(millis).toISOString().slice(0, 19) !== written) return null;
  return millis - INDOCHINA_OFFSET_MS;
}

/** "5 minutes ago" in the language. */
export function ago(time: string, now: number, language: string): string {
  const millis = millisOf(time);
  if (millis === null) return '';
  return agoText((now - millis) / 1000, language);
}

/** The same for so many seconds. */
export function agoText(secondsAgo: number, language: string): string {
  const seconds = -Math.round(secondsAgo);
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const size = Math.abs(seconds);
  if (size < 60) return format.format(seconds, 'second');
  if (size < 3_600) return format.format(Math.round(seconds / 60), 'minute');
  if (size < 86_400) return format.format(Math.round(seconds / 3_600), 'hour');
  return format.format(Math.round(seconds / 86_400), 'day');
}

/** A label of the zone for headings. */
export const ZONE_LABEL = 'UTC+7';
