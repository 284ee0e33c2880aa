import { Drawer } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import type { ReactNode } from 'react';
import classes from './PanelPlace.module.css';

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
    <Drawer.Root opened onClose={onClose} position="right" size="min(40rem, 100%)">
      <Drawer.Overlay />
      <Drawer.Content aria-label={label}>
        <Drawer.Body p={0}>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}
