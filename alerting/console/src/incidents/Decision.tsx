import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';
import { type IncidentDetail, VERDICTS, type Verdict } from '../api/types';
import { useKey } from '../app/keys';
import { useRole } from '../app/roles';
import { useSharedDraft } from '../app/useDraft';
import { VERDICT_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { ChangeFailure } from './ChangeFailure';
import { useIncidentChange } from './change';
import classes from './Decision.module.css';

/** The key of each verdict. */
const KEYS: Record<Verdict, string> = {
  true_positive: 't',
  benign_true_positive: 'b',
  false_positive: 'f',
};

/** What it turned out to be, why, and whose it is: one click or one key each. */
export function Decision({ incident }: { incident: IncidentDetail }) {
  const { t } = useLingui();
  const change = useIncidentChange(incident);
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  const me = session.kind === 'present' ? session.session.user.name : '';
  const mayDecide = useRole('analyst');
  const decide = (verdict: Verdict) => {
    change.change({ verdict: incident.verdict === verdict ? null : verdict });
  };
  const take = () => {
    change.change({ assignee: incident.assignee === me ? null : me });
  };
  const useVerdictKey = (verdict: Verdict) =>
    useKey(
      KEYS[verdict],
      mayDecide ? () => decide(verdict) : undefined,
      t`Verdict: ${t(VERDICT_WORDS[verdict])}`,
    );
  useVerdictKey('true_positive');
  useVerdictKey('benign_true_positive');
  useVerdictKey('false_positive');
  useKey('a', mayDecide ? take : undefined, t`Assign to me`);
  if (!mayDecide) {
    return incident.assignee ? (
      <p className={classes.soft}>
        <Trans>Assigned to {plain(incident.assignee)}</Trans>
      </p>
    ) : null;
  }
  return (
    <div className={classes.decision}>
      <div className={classes.row} role="group" aria-label={t`Verdict`}>
        <span className={classes.soft}>
          <Trans>Verdict</Trans>
        </span>
        {VERDICTS.map((verdict) => (
          <Button
            key={verdict}
            size="xs"
            variant={incident.verdict === verdict ? 'filled' : 'default'}
            aria-pressed={incident.verdict === verdict}
            aria-keyshortcuts={KEYS[verdict]}
            onClick={() => decide(verdict)}
          >
            {t(VERDICT_WORDS[verdict])} <kbd className={classes.key}>{KEYS[verdict].toUpperCase()}</kbd>
          </Button>
        ))}
        <span className={classes.assignee}>
          <span className={classes.soft}>
            {incident.assignee ? (
              <Trans>Assigned to {plain(incident.assignee)}</Trans>
            ) : (
              <Trans>Assigned to nobody</Trans>
            )}
          </span>
          <Button size="xs" variant="default" aria-keyshortcuts="a" onClick={take}>
            {incident.assignee === me ? <Trans>Give it back</Trans> : <Trans>Assign to me</Trans>}{' '}
            <kbd className={classes.key}>A</kbd>
          </Button>
        </span>
      </div>
      {incident.verdict && (
        <Reason
          id={incident.id}
          reason={incident.verdict_reason ?? ''}
          busy={change.isPending}
          onSave={(text) => change.change({ verdict_reason: text === '' ? null : text })}
        />
      )}
      <div role="alert">{change.error && <ChangeFailure error={change.error} now={incident.state} />}</div>
    </div>
  );
}

interface ReasonProps {
  /** Of the incident. */
  id: string;
  reason: string;
  busy: boolean;
  onSave: (text: string) => void;
}

function Reason({ id, reason, busy, onSave }: ReasonProps) {
  const { t } = useLingui();
  const { text, setText, theirs, takeTheirs } = useSharedDraft(`reason.${id}`, reason);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!busy) onSave(text.trim());
  };
  return (
    <form className={classes.reason} onSubmit={submit}>
      <TextInput
        size="xs"
        maxLength={4_000}
        aria-label={t`Reason of the verdict`}
        placeholder={t`Reason of the verdict`}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <Button type="submit" size="xs" variant="default" disabled={text.trim() === reason} loading={busy}>
        <Trans>Save</Trans>
      </Button>
      <div role="status" className={classes.theirs}>
        {theirs !== undefined && (
          <>
            {theirs === '' ? (
              <Trans>Somebody else has emptied it meanwhile; yours is not saved yet.</Trans>
            ) : (
              <Trans>
                Somebody else wrote meanwhile: <q>{plain(theirs)}</q>; yours is not saved yet.
              </Trans>
            )}{' '}
            <Button size="compact-xs" variant="default" onClick={takeTheirs}>
              <Trans>Take theirs</Trans>
            </Button>
          </>
        )}
      </div>
    </form>
  );
}
