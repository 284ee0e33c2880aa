import { Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useState } from 'react';
import { Dialog } from './Dialog';
import { Icon } from './icons';
import classes from './KeysHelp.module.css';
import { useKey, usePageKeys } from './keys';

/** What the keys of this page do: asked for by `?`, or by the button. */
export function KeysHelp() {
  const { t } = useLingui();
  const [open, setOpen] = useState(false);
  useKey('?', () => setOpen(true), t`Show the keys`);
  return (
    <>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        aria-label={t`Keys`}
        title={t`Keys (?)`}
        onClick={() => setOpen(true)}
      >
        <Icon name="keys" size={16} />
      </Button>
      {open && <KeysDialog onClose={() => setOpen(false)} />}
    </>
  );
}

function KeysDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const keys = usePageKeys();
  return (
    <Dialog title={t`Keys of this page`} onClose={onClose}>
      <dl className={classes.keys}>
        {keys.map(({ key, words }) => (
          <div key={key} className={classes.row}>
            <dt>
              <kbd className={classes.key}>{shownKey(key)}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
        <div className={classes.row}>
          <dt>
            <kbd className={classes.key}>↑</kbd> <kbd className={classes.key}>↓</kbd>
          </dt>
          <dd>
            <Trans>From row to row in a table; Enter opens</Trans>
          </dd>
        </div>
        <div className={classes.row}>
          <dt>
            <kbd className={classes.key}>Ctrl</kbd> <kbd className={classes.key}>K</kbd>
          </dt>
          <dd>
            <Trans>Go to a page or an incident, or do something</Trans>
          </dd>
        </div>
      </dl>
    </Dialog>
  );
}

/** A key as it is written on it. */
export function shownKey(key: string): string {
  return key === 'Escape' ? 'Esc' : key.toUpperCase();
}
