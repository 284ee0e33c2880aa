import { useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useEffect, useRef } from 'react';
import { ADMINISTRATION_PAGES } from '../app/pages';
import { useAllowed } from '../app/roles';
import classes from './AdministrationPage.module.css';

/** What the pages of administration have in common: their name and the ways between them. */
export function AdministrationPage({ title, children }: { title: string; children: ReactNode }) {
  const { t } = useLingui();
  const ways = useRef<HTMLElement>(null);
  // In a narrow window not all of them are in sight; where one is must be.
  useEffect(() => {
    ways.current?.querySelector('[data-active]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, []);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div className={classes.page} role="region" tabIndex={0} aria-labelledby="administration-title">
      <nav ref={ways} className={classes.ways} aria-label={t`Administration`}>
        {useAllowed(ADMINISTRATION_PAGES).map(({ to, words }) => (
          <Link
            key={to}
            to={to}
            className={classes.way}
            activeProps={{ 'data-active': true, 'aria-current': 'page' }}
          >
            {t(words)}
          </Link>
        ))}
      </nav>
      <h1 id="administration-title" className={classes.title}>
        {title}
      </h1>
      {children}
    </div>
  );
}
