import { Plural } from '@lingui/react/macro';
import type { Incident } from '../api/types';

/** How many events an incident is about; at most so many where alerts may share events that are not kept. */
export function EventCount({ incident }: { incident: Incident }) {
  return incident.event_count_exact ? (
    <Plural value={incident.event_count} one="# event" other="# events" />
  ) : (
    <Plural value={incident.event_count} one="at most # event" other="at most # events" />
  );
}
