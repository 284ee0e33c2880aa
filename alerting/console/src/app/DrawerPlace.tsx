import { Drawer } from '@mantine/core';
import type { ReactNode } from 'react';

interface DrawerPlaceProps {
  label: string;
  onClose: () => void;
  children: ReactNode;
}

/** A panel over the page, where there is no room beside it. */
export default function DrawerPlace({ label, onClose, children }: DrawerPlaceProps) {
  return (
    <Drawer.Root opened onClose={onClose} position="right" size="min(40rem, 100%)">
      <Drawer.Overlay />
      <Drawer.Content aria-label={label}>
        <Drawer.Body p={0}>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}
