import { Trans } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import type { ReactNode } from 'react';
import classes from './parts.module.css';

interface OnceNoteProps {
  secret: string;
  /** What it is and what to do with it. */
  children: ReactNode;
  onClose: () => void;
}

/** A secret that is shown this once. */
export function OnceNote({ secret, children, onClose }: OnceNoteProps) {
  const clipboard = useClipboard();
  return (
    <div className={classes.secret} role="status" data-testid="secret">
      <p>{children}</p>
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
