import { Trans } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import classes from './NotificationsPage.module.css';

/** A webhook's secret: told this once. */
export function SecretNote({ secret, onClose }: { secret: string; onClose: () => void }) {
  const clipboard = useClipboard();
  return (
    <div className={classes.secret} role="status" data-testid="secret">
      <p>
        <Trans>
          The secret that signs this webhook is shown this once. Give it to the receiver: it computes
          HMAC-SHA256 over the time, a dot and the body, and compares it with the header
          X-Citywatch-Signature.
        </Trans>
      </p>
      <code>{secret}</code>
      <div className={classes.buttons}>
        <Button size="xs" variant="default" onClick={() => clipboard.copy(secret)}>
          {clipboard.copied ? <Trans>Copied</Trans> : <Trans>Copy</Trans>}
        </Button>
        <Button size="xs" variant="default" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
      </div>
    </div>
  );
}
