import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { ApiError, call, sessionHolder } from '../api/client';
import { incidentQuery } from '../api/queries';
import type { Incident, IncidentDetail, IncidentState } from '../api/types';
import { useLive } from '../app/liveContext';
import { failureOf, STATE_WORDS } from '../app/words';
import classes from './StateChange.module.css';

interface Step {
  to: IncidentState;
  words: MessageDescriptor;
}

const ACKNOWLEDGE: Step = { to: 'acknowledged', words: msg`Acknowledge` };
const START: Step = { to: 'in_progress', words: msg`Start work` };
const RESOLVE: Step = { to: 'resolved', words: msg`Resolve` };
const CLOSE: Step = { to: 'closed', words: msg`Close` };
const REOPEN: Step = { to: 'in_progress', words: msg`Reopen` };

/** The next steps from each state, the likeliest first. */
const STEPS: Record<IncidentState, Step[]> = {
  new: [ACKNOWLEDGE, START, RESOLVE],
  acknowledged: [START, RESOLVE],
  in_progress: [RESOLVE],
  resolved: [CLOSE, REOPEN],
  closed: [REOPEN],
};

/** The buttons that move an incident on, and what to say when somebody else was faster. */
export function StateChange({ incident }: { incident: IncidentDetail }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const live = useLive();
  const change = useMutation({
    mutationFn: (to: IncidentState) =>
      call<Incident>(`/incidents/${encodeURIComponent(incident.id)}`, {
        method: 'PATCH',
        body: { state: to },
        ifMatch: incident.version,
      }),
    onSuccess: (changed) => {
      queries.setQueryData(
        incidentQuery(incident.id).queryKey,
        (before) => before && { ...before, ...changed },
      );
      live.observe(changed);
    },
    // The history has a new line, or somebody else's change is to be seen.
    onSettled: () => queries.invalidateQueries({ queryKey: incidentQuery(incident.id).queryKey }),
  });

  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  // The server decides; this only spares a viewer buttons that would be refused.
  if (session.kind === 'present' && session.session.user.role === 'viewer') return null;

  return (
    <div className={classes.change}>
      <div className={classes.steps}>
        {STEPS[incident.state].map((step, at) => (
          <Button
            key={step.to}
            size="xs"
            variant={at === 0 ? 'filled' : 'default'}
            disabled={change.isPending}
            onClick={() => change.mutate(step.to)}
          >
            {t(step.words)}
          </Button>
        ))}
      </div>
      <div role="alert">{change.error && <ChangeFailure error={change.error} now={incident.state} />}</div>
    </div>
  );
}

function ChangeFailure({ error, now }: { error: Error; now: IncidentState }) {
  const { t } = useLingui();
  if (error instanceof ApiError && (error.status === 409 || error.status === 412)) {
    const word = t(STATE_WORDS[now]);
    return (
      <p className={classes.failure}>
        <Trans>
          Somebody else has changed this incident meanwhile; it is now: {word}. Your change was not made. Look
          at the history, then decide again.
        </Trans>
      </p>
    );
  }
  const failure = failureOf(error);
  return <p className={classes.failure}>{[t(failure.what), failure.detail].filter(Boolean).join(' ')}</p>;
}
