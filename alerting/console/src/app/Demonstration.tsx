import { Trans, useLingui } from '@lingui/react/macro';
import { useSyncExternalStore } from 'react';
import { installation } from '../api/client';
import classes from './Demonstration.module.css';

/** Says that nothing of what is shown happened, where that is so: on every page, and before signing in. */
export function Demonstration() {
  const { t } = useLingui();
  const shown = useSyncExternalStore(installation.subscribe, installation.isDemonstration);
  if (!shown) return null;
  return (
    <p
      className={classes.mark}
      role="note"
      title={t`Recordings were played here over several weeks and offices. Nothing of it happened.`}
    >
      <strong>
        <Trans>Demonstration data</Trans>
      </strong>
      <span className={classes.more}>
        <Trans>played recordings, nothing of it happened</Trans>
      </span>
    </p>
  );
}
