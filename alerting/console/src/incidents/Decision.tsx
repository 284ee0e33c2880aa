import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
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
import { VERDICT_KEYS } from './triage';

/** Reasons that are given again and again: one click instead of the same words. */
const USUAL_REASONS: Partial<Record<Verdict, MessageDescriptor[]>> = {
  false_positive: [
    msg`Announced maintenance`,
    msg`Legitimate administration tool`,
    msg`The rule is too broad`,
    msg`A test`,
  ],
};

interface DecisionProps {
  incident: IncidentDetail;
  /** Whether the verdict that is given closes it. */
  closing: boolean;
  onClosing: (closing: boolean) => void;
}

/** What it turned out to be, why, and whose it is: one click or one key each. */
export function Decision({ incident, closing, onClosing }: DecisionProps) {
  const { t } = useLingui();
  const change = useIncidentChange(incident);
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  const me = session.kind === 'present' ? session.session.user.name : '';
  const mayDecide = useRole('analyst');
  const decide = (verdict: Verdict) => {
    if (closing) {
      onClosing(false);
      change.change({ state: 'closed', verdict });
    } else change.change({ verdict: incident.verdict === verdict ? null : verdict });
  };
  const take = () => {
    change.change({ assignee: incident.assignee === me ? null : me });
  };
  const useVerdictKey = (verdict: Verdict) =>
    useKey(
      VERDICT_KEYS[verdict],
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
        {/* The question beside Close has the same ones meanwhile. */}
        {!closing && (
          <>
            <span className={classes.soft}>
              <Trans>Verdict</Trans>
            </span>
            {VERDICTS.map((verdict) => (
              <Button
                key={verdict}
                size="xs"
                variant={incident.verdict === verdict ? 'filled' : 'default'}
                aria-pressed={incident.verdict === verdict}
                aria-keyshortcuts={VERDICT_KEYS[verdict]}
                onClick={() => decide(verdict)}
              >
                {t(VERDICT_WORDS[verdict])}{' '}
                <kbd className={classes.key}>{VERDICT_KEYS[verdict].toUpperCase()}</kbd>
              </Button>
            ))}
          </>
        )}
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
          usual={USUAL_REASONS[incident.verdict] ?? []}
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
  usual: MessageDescriptor[];
  reason: string;
  busy: boolean;
  onSave: (text: string) => void;
}

function Reason({ id, usual, reason, busy, onSave }: ReasonProps) {
  const { t } = useLingui();
  const { text, setText, theirs, takeTheirs } = useSharedDraft(`reason.${id}`, reason);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!busy) onSave(text.trim());
  };
  const words = usual.map((each) => t(each));
  /** Instead of nothing or of another of them; what somebody wrote in own words stays before it. */
  const give = (usually: string) => {
    const own = text.trim();
    const whole = own === '' || words.includes(own) ? usually : `${own}; ${usually}`;
    setText(whole);
    onSave(whole);
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
      {words.length > 0 && (
        <div className={classes.usual} role="group" aria-label={t`Usual reasons`}>
          {words.map((usually) => (
            <Button
              key={usually}
              size="compact-xs"
              radius="xl"
              variant="default"
              disabled={busy || text.includes(usually)}
              onClick={() => give(usually)}
            >
              {usually}
            </Button>
          ))}
        </div>
      )}
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
