import { Trans, useLingui } from '@lingui/react/macro';
import { ApiError } from '../api/client';
import type { IncidentState } from '../api/types';
import { failureOf, STATE_WORDS } from '../app/words';
import { MergedInto } from './MergedInto';
import classes from './StateChange.module.css';

/** Why a change was not made, and what to do. */
export function ChangeFailure({ error, now }: { error: Error; now: IncidentState }) {
  const { t } = useLingui();
  const into = error instanceof ApiError && error.problem.merged_into;
  if (into) return <MergedInto id={into} />;
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
