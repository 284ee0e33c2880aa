import { Trans, useLingui } from '@lingui/react/macro';
import { Button, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect, useSyncExternalStore } from 'react';
import { sessionHolder, signOut } from '../api/client';
import { QUEUE } from '../api/incidentFilter';
import { Allowed } from './Allowed';
import { Connection } from './Connection';
import { Demonstration } from './Demonstration';
import { Icon, Logo } from './icons';
import { KeysHelp } from './KeysHelp';
import { useLive } from './liveContext';
import { Palette } from './Palette';
import { PAGES } from './pages';
import { useAllowed } from './roles';
import classes from './Shell.module.css';
import { LanguageSwitch, ThemeSwitch } from './switches';
import { WaitingParts } from './WaitingParts';
import { failureOf } from './words';

/** What surrounds every page: the name, the ways to the pages, the connection, the person. */
export function Shell() {
  const live = useLive();
  const present = useSyncExternalStore(sessionHolder.subscribe, () => sessionHolder.get().kind === 'present');
  useEffect(() => (present ? live.follow() : undefined), [live, present]);

  return (
    <div className={classes.shell}>
      <a className="cw-skip" href="#content">
        <Trans>Skip to the content</Trans>
      </a>
      <header className={classes.header}>
        <Link to="/incidents" search={QUEUE} className={classes.brand} aria-label="Citywatch">
          <Logo />
          <span>Citywatch</span>
        </Link>
        <Ways />
        <div className={classes.tools}>
          <div className={classes.mark}>
            <Demonstration />
          </div>
          <Connection />
          <Palette />
          <KeysHelp />
          <LanguageSwitch />
          <ThemeSwitch />
          <Person />
        </div>
      </header>
      <main id="content" className={classes.main}>
        <WaitingParts />
        <Allowed>
          <Outlet />
        </Allowed>
      </main>
    </div>
  );
}

function Ways() {
  const { t } = useLingui();
  // One way to several pages.
  const isAdministration = useRouterState({
    select: (state) => state.location.pathname.startsWith('/administration'),
  });
  return (
    <nav className={classes.ways} aria-label={t`Pages`}>
      {useAllowed(PAGES).map(({ to, search = {}, words, icon }) => (
        <Link
          key={to}
          to={to}
          search={search}
          className={classes.way}
          activeOptions={{ includeSearch: false }}
          activeProps={{ 'data-active': true }}
        >
          <Icon name={icon} />
          <span>{t(words)}</span>
        </Link>
      ))}
      <Link
        to="/administration/suppressions"
        className={classes.way}
        data-active={isAdministration || undefined}
      >
        <Icon name="administration" />
        <span>{t`Administration`}</span>
      </Link>
    </nav>
  );
}

function Person() {
  const { t } = useLingui();
  const queries = useQueryClient();
  const state = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  if (state.kind !== 'present') return null;
  const { name, role } = state.session.user;

  async function leave() {
    try {
      await signOut();
      queries.clear();
    } catch (error) {
      const failure = failureOf(error);
      notifications.show({
        color: 'red',
        title: t`Not signed out`,
        message: `${t(failure.what)} ${failure.detail}`,
      });
    }
  }

  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          leftSection={<Icon name="person" size={16} />}
          aria-label={t`Signed in as ${name}`}
        >
          <span className={classes.person}>{name}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {name} · {role}
        </Menu.Label>
        <Menu.Item onClick={() => void leave()}>{t`Sign out`}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
