import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';
import type { IncidentDetail, IncidentState } from '../api/types';
import { shownKey } from '../app/keys';
import { ChangeFailure } from './ChangeFailure';
import { useIncidentChange } from './change';
import classes from './StateChange.module.css';
import { Key } from './TriageButtons';

interface Step {
  to: IncidentState;
  words: MessageDescriptor;
  /** The same as in the list. */
  key?: string;
}

const ACKNOWLEDGE: Step = { to: 'acknowledged', words: msg`Acknowledge`, key: 'e' };
const START: Step = { to: 'in_progress', words: msg`Start work` };
const RESOLVE: Step = { to: 'resolved', words: msg`Resolve`, key: 'r' };
const CLOSE: Step = { to: 'closed', words: msg`Close`, key: 'c' };
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
      {STEPS[incident.state].map(
        ({ key, to, words }) =>
          key && (
            <Key
              key={key}
              name={key}
              words={t(words)}
              act={change.isPending ? undefined : () => change.change({ state: to })}
            />
          ),
      )}
      <div className={classes.steps}>
        {STEPS[incident.state].map((step, at) => (
          <Button
            key={step.to}
            size="xs"
            variant={at === 0 ? 'filled' : 'default'}
            disabled={change.isPending}
            aria-keyshortcuts={step.key}
            onClick={() => change.change({ state: step.to })}
          >
            {t(step.words)} {step.key && <kbd className={classes.key}>{shownKey(step.key)}</kbd>}
          </Button>
        ))}
      </div>
      <div role="alert">{change.error && <ChangeFailure error={change.error} now={incident.state} />}</div>
    </div>
  );
}
