import { useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { Suspense, useState } from 'react';
import { Icon } from './icons';
import { useKey } from './keys';
import { lazyPart } from './lazily';

const KeysDialog = lazyPart(() => import('./KeysDialog'));

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
      <Suspense fallback={null}>{open && <KeysDialog onClose={() => setOpen(false)} />}</Suspense>
    </>
  );
}
