/** An event in a line or two. */
import type { EventRow } from '../api/types';

/** A line shows no more than this of an event's text. */
const SNIPPET_CHARS = 300;

/** What says most about the event in a line or two; where the search found something, that. */
export function snippetOf(row: EventRow, pattern: RegExp | null): string {
  const facts = factsOf(row);
  const read = textsOf(row.message, row.command_line, facts);
  // What the other columns show need not be looked for in the record.
  const isShown = pattern !== null && textsOf(row.host, row.user).some((text) => text.search(pattern) >= 0);
  const texts = [...read, ...textsOf(row.raw, row.action)];
  for (const text of isShown ? read : texts) {
    const found = pattern ? text.search(pattern) : -1;
    if (found >= 0) return excerpt(text, found);
  }
  return excerpt(texts[0] ?? '', 0);
}

function textsOf(...texts: (string | null | undefined)[]): string[] {
  return texts.filter((text) => !!text) as string[];
}

/** What JSON says, in the order in which one reads it: `4625 login failure · ctmai · 10.20.40.117 → 10.20.40.1`. */
function factsOf(row: EventRow): string {
  if (!row.raw?.trimStart().startsWith('{')) return '';
  const what = [row.event_code, row.action, row.outcome].filter(Boolean).join(' ');
  const addresses = [row.source_address, row.destination_address].filter(Boolean).join(' → ');
  return [what, row.user, row.process, addresses, row.url].filter(Boolean).join(' · ');
}

/** Keeps this much of what stands before a finding. */
const BEFORE_CHARS = 40;

function excerpt(text: string, found: number): string {
  const start = found > 2 * BEFORE_CHARS ? found - BEFORE_CHARS : 0;
  return (start > 0 ? '… ' : '') + text.slice(start, start + SNIPPET_CHARS).replace(/\s+/g, ' ');
}
