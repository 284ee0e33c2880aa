import type { ReactNode } from 'react';
import classes from './parts.module.css';

/** A table that scrolls sideways where it is wider than the page, also for who has no mouse. */
export function TableFrame({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div className={classes.frame} role="group" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}
