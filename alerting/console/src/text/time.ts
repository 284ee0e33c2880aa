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

/** The value of an `<input type="datetime-local">` showing Indochina Time. */
export function inputOfMillis(millis: number): string {
  return new Date(millis + INDOCHINA_OFFSET_MS).toISOString().slice(0, 19);
}

/** The time that such an input holds, or `null` when it holds none. */
export function millisOfInput(value: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?$/.test(value)) return null;
  const millis = Date.parse(`${value}Z`);
  return Number.isNaN(millis) ? null : millis - INDOCHINA_OFFSET_MS;
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
