import { useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { Suspense, useState } from 'react';
import { Icon } from './icons';
import { lazyPart } from './lazily';

const PaletteDialog = lazyPart(() => import('./PaletteDialog'));

/** Goes anywhere and does anything by typing: Ctrl+K. */
export function Palette() {
  const { t } = useLingui();
  const [open, setOpen] = useState(false);
  useHotkeys([['mod+K', () => setOpen(true)]], []);
  return (
    <>
      <Button
        variant="subtle"
        color="gray"
        size="compact-sm"
        aria-label={t`Go to…`}
        title={t`Go to… (Ctrl+K)`}
        onClick={() => setOpen(true)}
      >
        <Icon name="search" size={16} />
      </Button>
      <Suspense fallback={null}>{open && <PaletteDialog onClose={() => setOpen(false)} />}</Suspense>
    </>
  );
}
