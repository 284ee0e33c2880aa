/** Finds in an event's text the values that made a rule match. */

export interface Span {
  start: number;
  end: number;
}

/** How a value may stand in the raw text: as it is, escaped in JSON, escaped in XML. */
function spellings(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const xml = value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  return [value, json, json.replace(/\//g, '\\/'), xml, xml.replace(/"/g, '&quot;')];
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** A short word or a number inside a longer one is chance, so it must stand alone. */
function bounded(value: string): string {
  const escaped = escapeRegExp(value);
  if (value.length > 3 && !/^\d+$/.test(value)) return escaped;
  const before = /^[\p{L}\p{N}_]/u.test(value) ? '(?<![\\p{L}\\p{N}_])' : '';
  const after = /[\p{L}\p{N}_]$/u.test(value) ? '(?![\\p{L}\\p{N}_])' : '';
  return before + escaped + after;
}

/** More values than this are not marked: an event with so many has everything marked. */
const VALUES_MAX = 200;

/** Of longer values the beginning is marked: no engine takes a pattern of any length. */
const VALUE_CHARS_MAX = 2_000;

/** One pattern that finds any of `values`, the longest first; `null` when there is none. */
export function patternOf(values: Iterable<string>): RegExp | null {
  const all = new Set<string>();
  for (const value of values) {
    if (all.size >= VALUES_MAX * 5) break;
    const beginning = value.slice(0, VALUE_CHARS_MAX).replace(/[\ud800-\udbff]$/, '');
    if (beginning.trim() !== '') for (const spelling of spellings(beginning)) all.add(spelling);
  }
  if (all.size === 0) return null;
  const sorted = [...all].sort((a, b) => b.length - a.length);
  return new RegExp(sorted.map(bounded).join('|'), 'giu');
}

/** Where `pattern` holds in `text`, in order, never overlapping; neighbours are joined. */
export function spansOf(text: string, pattern: RegExp | null): Span[] {
  if (!pattern) return [];
  const spans: Span[] = [];
  for (const match of text.matchAll(pattern)) {
    if (match[0] === '') continue;
    const last = spans.at(-1);
    if (last && last.end === match.index) last.end = match.index + match[0].length;
    else spans.push({ start: match.index, end: match.index + match[0].length });
  }
  return spans;
}

/** So much is shown around a mark that stands alone. */
const AROUND_CHARS = 200;

/** What is shown of a long text: its beginning, and the first mark where none is in that. */
export interface Cut {
  end: number;
  excerpt?: Span;
}

/** Cuts `text` after `limit` characters, never within a mark. */
export function cutOf(text: string, pattern: RegExp | null, limit: number): Cut {
  if (text.length <= limit) return { end: text.length };
  let isMarked = false;
  for (const match of pattern ? text.matchAll(pattern) : []) {
    const end = match.index + match[0].length;
    if (end === match.index) continue;
    if (match.index >= limit) {
      if (isMarked) break;
      const start = Math.max(limit, match.index - AROUND_CHARS);
      return { end: limit, excerpt: { start, end: Math.min(text.length, end + AROUND_CHARS) } };
    }
    if (end > limit) return { end };
    isMarked = true;
  }
  return { end: limit };
}
