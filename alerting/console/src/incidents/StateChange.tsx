import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';
import type { IncidentDetail, IncidentState } from '../api/types';
import { ChangeFailure } from './ChangeFailure';
import { useIncidentChange } from './change';
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
  const change = useIncidentChange(incident);

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
            onClick={() => change.change({ state: step.to })}
          >
            {t(step.words)}
          </Button>
        ))}
      </div>
      <div role="alert">{change.error && <ChangeFailure error={change.error} now={incident.state} />}</div>
    </div>
  );
}
