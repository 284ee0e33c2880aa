import { useMutation, useQueryClient } from '@tanstack/react-query';
import { call } from '../api/client';
import { OWN_VERSION } from '../api/live';
import { incidentQuery } from '../api/queries';
import type { Incident, IncidentDetail, IncidentState, Verdict } from '../api/types';
import { useLive } from '../app/liveContext';

/** What a person changes about an incident; `null` empties. */
export interface IncidentChange {
  state?: IncidentState;
  verdict?: Verdict | null;
  verdict_reason?: string | null;
  assignee?: string | null;
}

/** Changes an incident as it was seen: who was faster is told, not overwritten. */
export function useIncidentChange(incident: IncidentDetail) {
  const queries = useQueryClient();
  const live = useLive();
  // The version that the last change from this page made: a key that follows at once, also one of another part of
  // the page, was pressed on that.
  const ownKey = [OWN_VERSION, incident.id];
  const mutation = useMutation({
    // One after the other: no key is lost while a change is under way.
    scope: { id: `incident ${incident.id}` },
    mutationFn: ({ body, seen }: { body: IncidentChange; seen: number }) =>
      call<Incident>(`/incidents/${encodeURIComponent(incident.id)}`, {
        method: 'PATCH',
        body,
        ifMatch: Math.max(seen, queries.getQueryData<number>(ownKey) ?? 0),
      }),
    onSuccess: (changed) => {
      queries.setQueryData(ownKey, changed.version);
      queries.setQueryData(
        incidentQuery(incident.id).queryKey,
        (before) => before && { ...before, ...changed },
      );
      live.observe(changed);
    },
    // The history has a new line, or somebody else's change is to be seen.
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: incidentQuery(incident.id).queryKey });
    },
  });
  return {
    error: mutation.error,
    isPending: mutation.isPending,
    change: (body: IncidentChange) => mutation.mutate({ body, seen: incident.version }),
  };
}
