import { useLingui } from '@lingui/react/macro';
import { ActionIcon } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { type ReactNode, Suspense } from 'react';
import { Icon } from './icons';
import { lazyPart } from './lazily';
import classes from './PanelPlace.module.css';

const DrawerPlace = lazyPart(() => import('./DrawerPlace'));

interface PanelPlaceProps {
  label: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** Beside the table where there is room, over it where there is not. */
export function PanelPlace({ label, open, onClose, children }: PanelPlaceProps) {
  const beside = useMediaQuery('(min-width: 75em)', true, { getInitialValueInEffect: false });
  if (!open) return null;
  if (beside) {
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      <aside className={classes.panel} aria-label={label} tabIndex={0}>
        {children}
      </aside>
    );
  }
  return (
    <Suspense fallback={null}>
      <DrawerPlace label={label} onClose={onClose}>
        {children}
      </DrawerPlace>
    </Suspense>
  );
}

/** What a panel is about, and the way out of it for who has a mouse. */
export function PanelHead({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  const { t } = useLingui();
  return (
    <div className={classes.head}>
      <h2 className={classes.title}>{children}</h2>
      <ActionIcon variant="subtle" color="gray" aria-label={t`Close`} title={t`Close`} onClick={onClose}>
        <Icon name="close" />
      </ActionIcon>
    </div>
  );
}
