import { useMediaQuery } from '@mantine/hooks';
import { lazy, type ReactNode, Suspense } from 'react';
import classes from './PanelPlace.module.css';

const DrawerPlace = lazy(() => import('./DrawerPlace'));

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
