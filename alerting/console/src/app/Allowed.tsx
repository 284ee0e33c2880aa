import { Trans, useLingui } from '@lingui/react/macro';
import { Link, useRouterState } from '@tanstack/react-router';
import { type ReactNode, useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';
import { ADMINISTRATION_PAGES } from './pages';
import { Empty } from './parts';
import { ROLES } from './roles';
import { ROLE_WORDS } from './words';

/** The page, or who may see it instead. The server decides what is told; this says it before it is asked. */
export function Allowed({ children }: { children: ReactNode }) {
  const { t } = useLingui();
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const page = ADMINISTRATION_PAGES.find(({ to }) => to === path);
  // Whose session ended signs in again over the page, which stays as it was.
  if (!page || session.kind !== 'present') return children;
  const role = ROLES.find((each) => each === session.session.user.role);
  if (role && ROLES.indexOf(role) >= ROLES.indexOf(page.least)) return children;
  const name = t(page.words);
  const least = t(ROLE_WORDS[page.least]);
  const own = role ? t(ROLE_WORDS[role]) : session.session.user.role;
  return (
    <Empty title={<h1>{t`“${name}” is not for your role`}</h1>}>
      <p>
        <Trans>
          You are signed in as {own}; this page wants {least}. Who administers Citywatch can give you another
          role.
        </Trans>
      </p>
      <Link to="/incidents">
        <Trans>To the incidents</Trans>
      </Link>
    </Empty>
  );
}
