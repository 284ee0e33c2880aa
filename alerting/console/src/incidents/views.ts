/** Views of the list: filters with a name. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { IncidentFilter } from '../api/queries';

export interface View {
  name: string;
  filter: IncidentFilter;
}

/** What everybody needs; `me` stands for who is signed in. */
export const GIVEN_VIEWS: { words: MessageDescriptor; filter: (me: string) => IncidentFilter }[] = [
  { words: msg`All`, filter: () => ({}) },
  { words: msg`Open`, filter: () => ({ state: 'open' }) },
  { words: msg`New and severe`, filter: () => ({ state: 'new', severity: 'critical,high' }) },
  { words: msg`Mine`, filter: (me) => ({ state: 'open', assignee: me }) },
  { words: msg`Overdue`, filter: () => ({ state: 'overdue' }) },
];

/** One text for one filter, whatever the order of its names. */
export function filterKey(filter: IncidentFilter): string {
  return JSON.stringify(
    Object.entries(filter)
      .filter(([name, value]) => value && !(name === 'state' && value === 'all'))
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

/** Saved views with this one added; the same name replaces. */
export function withView(views: View[], view: View): View[] {
  return [...views.filter(({ name }) => name !== view.name), view].sort((one, other) =>
    one.name.localeCompare(other.name),
  );
}
