import { Trans, useLingui } from '@lingui/react/macro';
import { notifications } from '@mantine/notifications';
import { useEffect, useSyncExternalStore } from 'react';
import { waitingParts, wasReloaded } from './lazily';
import classes from './WaitingParts.module.css';

/** Says that a part of the page waits for the connection, and after a new version why the page was loaded anew. */
export function WaitingParts() {
  const { t } = useLingui();
  const isWaiting = useSyncExternalStore(waitingParts.subscribe, () => waitingParts.get() > 0);
  useEffect(() => {
    if (!wasReloaded()) return;
    notifications.show({
      message: t`A new version of the console was installed, so the page was loaded anew. What you typed is kept.`,
      autoClose: 20_000,
    });
  }, [t]);
  return (
    <div role="status" data-testid="waiting-parts">
      {isWaiting && (
        <p className={classes.waiting}>
          <Trans>
            The connection to the server is lost, and a part of this page is not loaded yet. It loads by
            itself when the connection is back; nothing is lost.
          </Trans>
        </p>
      )}
    </div>
  );
}
