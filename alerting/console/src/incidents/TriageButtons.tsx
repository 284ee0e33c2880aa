import { Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useEffect } from 'react';
import type { Incident } from '../api/types';
import { useKey, useWaitingKey } from '../app/keys';
import { useMe } from '../app/roles';
import { CloseQuestion } from './CloseQuestion';
import classes from './TriageButtons.module.css';
import { TRIAGE_ACTIONS, type TriageAction } from './triage';
import type { Triage } from './useTriage';

interface TriageButtonsProps {
  incidents: Incident[];
  triage: Triage;
  label: string;
}

/** Does one of the actions to those that it would change; a verdict that all have is taken away. */
export function useAct(incidents: Incident[], triage: Triage): (action: TriageAction) => void {
  const { t } = useLingui();
  const me = useMe();
  return (action) => {
    if (action.verdict && triage.closing.length > 0) {
      triage.closeAs(action.verdict);
      return;
    }
    triage.leaveOpen();
    const fitting = incidents.filter((incident) => action.fits(incident, me));
    if (fitting.length > 0 && action.key === 'c') triage.close(fitting);
    else if (fitting.length > 0) triage.apply(fitting, action.change(me), t(action.done));
    else if (action.verdict) triage.apply(incidents, { verdict: null }, t`Verdict taken away`);
    else if (action.key === 'a') triage.apply(incidents, { assignee: null }, t`Given back`);
  };
}

/** The keys of triage, for what is ticked or, where nothing is, for the row of the reader. */
export function TriageKeys({ incidents, triage }: Omit<TriageButtonsProps, 'label'>) {
  const { t } = useLingui();
  const act = useAct(incidents, triage);
  const has = incidents.length > 0;
  const { leaveOpen } = triage;
  // Who goes on to others has left the question.
  const about = incidents.map(({ id }) => id).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another row or tick is what it is for
  useEffect(() => leaveOpen, [about, leaveOpen]);
  return (
    <>
      {TRIAGE_ACTIONS.map((action) => (
        <Key
          key={action.key}
          name={action.key}
          words={action.verdict ? t`Verdict: ${t(action.words)}` : t(action.words)}
          act={has ? () => act(action) : undefined}
        />
      ))}
      <Key name="z" words={t`Undo`} act={triage.undo} />
    </>
  );
}

/** A key of the list of incidents; it waits as long as there is no row to act on. */
export function Key({ name, words, act }: { name: string; words: string; act: (() => void) | undefined }) {
  useKey(name, act, words);
  useWaitingKey(name, words, act === undefined);
  return null;
}

/** What can be done with these incidents: one click each. */
export function TriageButtons({ incidents, triage, label }: TriageButtonsProps) {
  const { t } = useLingui();
  const me = useMe();
  const act = useAct(incidents, triage);
  const plain = TRIAGE_ACTIONS.filter(
    (action) => !action.verdict && incidents.some((incident) => action.fits(incident, me)),
  );
  const verdicts = TRIAGE_ACTIONS.filter(({ verdict }) => verdict);
  const { closing, closeAs, leaveOpen } = triage;
  if (closing.length > 0 && closing.every(({ id }) => incidents.some((each) => each.id === id))) {
    return <CloseQuestion incidents={closing} onVerdict={closeAs} onLeave={leaveOpen} />;
  }
  return (
    <div className={classes.buttons} role="group" aria-label={label}>
      {plain.map((action) => (
        <Button
          key={action.key}
          size="compact-sm"
          variant="default"
          aria-keyshortcuts={action.key}
          onClick={() => act(action)}
        >
          {t(action.words)} <kbd className={classes.key}>{action.key.toUpperCase()}</kbd>
        </Button>
      ))}
      <span className={classes.verdicts} role="group" aria-label={t`Verdict`}>
        <span className={classes.soft}>
          <Trans>Verdict</Trans>
        </span>
        {verdicts.map((action) => {
          const pressed = incidents.every(({ verdict }) => verdict === action.verdict);
          return (
            <Button
              key={action.key}
              size="compact-sm"
              variant={pressed ? 'filled' : 'default'}
              aria-pressed={pressed}
              aria-keyshortcuts={action.key}
              onClick={() => act(action)}
            >
              {t(action.words)} <kbd className={classes.key}>{action.key.toUpperCase()}</kbd>
            </Button>
          );
        })}
      </span>
    </div>
  );
}
