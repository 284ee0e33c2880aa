/** What can be written where the caret stands. */
import type { EventField } from '../api/types';
import { folded } from '../text/folded';
import { COLUMNS, OPERATORS, queryName, type Spot, writtenValue } from './language';

export interface Suggestion {
  kind: 'field' | 'value' | 'operator';
  /** As it is shown. */
  text: string;
  /** What replaces what was typed. */
  insert: string;
  /** Events that have it, where that is known. */
  events?: number;
}

const SHOWN_MAX = 50;

/** `fields` are those of what was found, `ofName` the one whose value is being typed. */
export function suggestionsFor(
  spot: Spot | null,
  fields: EventField[],
  ofName: EventField | undefined,
): Suggestion[] {
  if (!spot) return [];
  const wanted = folded(spot.typed);
  if (spot.kind === 'value') {
    return fitting(
      (ofName?.top ?? []).map(({ value, events }) => ({
        kind: 'value',
        text: value,
        insert: `${writtenValue(value)} `,
        events,
      })),
      wanted,
    );
  }
  const found = fields.flatMap(({ name, events }): Suggestion[] => {
    const text = queryName(name, 'list');
    return text === null ? [] : [{ kind: 'field', text, insert: `${text}:`, events }];
  });
  const known = COLUMNS.filter((name) => !found.some(({ text }) => text === name));
  return fitting(
    [
      ...(spot.operators ? OPERATORS : OPERATORS.slice(2)).map(
        (text): Suggestion => ({ kind: 'operator', text, insert: `${text} ` }),
      ),
      ...found,
      ...known.map((text): Suggestion => ({ kind: 'field', text, insert: `${text}:` })),
    ],
    wanted,
  );
}

/** Those that begin with it first, then those that hold it; what stands there already is no suggestion. */
function fitting(all: Suggestion[], wanted: string): Suggestion[] {
  const begins = all.filter(({ text }) => folded(text).startsWith(wanted));
  const holds = all.filter(({ text }) => !folded(text).startsWith(wanted) && folded(text).includes(wanted));
  const found = [...begins, ...holds].slice(0, SHOWN_MAX);
  const [only] = found;
  return only && found.length === 1 && only.kind !== 'field' && folded(only.text) === wanted ? [] : found;
}
