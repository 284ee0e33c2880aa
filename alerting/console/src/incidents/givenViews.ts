/** Views of the list that everybody needs. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { IncidentFilter } from '../api/incidentFilter';

/** `me` stands for who is signed in. */
export const GIVEN_VIEWS: { words: MessageDescriptor; filter: (me: string) => IncidentFilter }[] = [
  { words: msg`All`, filter: () => ({}) },
  { words: msg`Open`, filter: () => ({ state: 'open' }) },
  { words: msg`New and severe`, filter: () => ({ state: 'new', severity: 'critical,high' }) },
  { words: msg`Mine`, filter: (me) => ({ state: 'open', assignee: me }) },
  { words: msg`Overdue`, filter: () => ({ state: 'overdue' }) },
];
