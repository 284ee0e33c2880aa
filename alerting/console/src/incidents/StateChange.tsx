import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';
import type { IncidentDetail, IncidentState } from '../api/types';
import { shownKey, useKey } from '../app/keys';
import { ChangeFailure } from './ChangeFailure';
import { CloseQuestion } from './CloseQuestion';
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

interface StateChangeProps {
  incident: IncidentDetail;
  /** Whether it waits for the verdict that it is to be closed with; the keys of verdicts give it then. */
  closing: boolean;
  onClosing: (closing: boolean) => void;
}

/** The buttons that move an incident on, and what to say when somebody else was faster. */
export function StateChange({ incident, closing, onClosing }: StateChangeProps) {
  const { t } = useLingui();
  const change = useIncidentChange(incident);

  useKey('Escape', closing ? () => onClosing(false) : undefined, t`Do not close`);
  const go = (to: IncidentState) =>
    to === 'closed' && !incident.verdict ? onClosing(true) : change.change({ state: to });

  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  // The server decides; this only spares a viewer buttons that would be refused.
  if (session.kind === 'present' && session.session.user.role === 'viewer') return null;

  return (
    <div className={classes.change}>
      {STEPS[incident.state].map(
        ({ key, to, words }) =>
          key && (
            <Key key={key} name={key} words={t(words)} act={change.isPending ? undefined : () => go(to)} />
          ),
      )}
      {closing ? (
        <CloseQuestion
          incidents={[incident]}
          onVerdict={(verdict) => {
            onClosing(false);
            change.change({ state: 'closed', verdict });
          }}
          onLeave={() => onClosing(false)}
        />
      ) : (
        <div className={classes.steps}>
          {STEPS[incident.state].map((step, at) => (
            <Button
              key={step.to}
              size="xs"
              variant={at === 0 ? 'filled' : 'default'}
              disabled={change.isPending}
              aria-keyshortcuts={step.key}
              onClick={() => go(step.to)}
            >
              {t(step.words)} {step.key && <kbd className={classes.key}>{shownKey(step.key)}</kbd>}
            </Button>
          ))}
        </div>
      )}
      <div role="alert">{change.error && <ChangeFailure error={change.error} now={incident.state} />}</div>
    </div>
  );
}
