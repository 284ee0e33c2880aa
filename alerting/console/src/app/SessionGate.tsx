import { Trans } from '@lingui/react/macro';
import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'react';
import { createPortal } from 'react-dom';
import { resumeSession, sessionHolder } from '../api/client';
import type { Session } from '../api/types';
import { Loading } from './parts';
import classes from './SessionGate.module.css';
import { SignIn } from './SignIn';

const RETRY_MS = 3_000;

/**
 * Shows its children to who is signed in. A session that ends later covers them with the sign-in and
 * keeps them as they are: address, selection, scroll, what was typed.
 */
export function SessionGate({ children }: { children: (session: Session) => ReactNode }) {
  const state = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  const queries = useQueryClient();
  const away = useResume(state.kind === 'unknown');
  const session = state.kind === 'present' ? state.session : state.kind === 'absent' ? state.last : null;
  const user = session?.user.name ?? '';

  // What one person saw is not kept for the next.
  const userBefore = useRef(user);
  useEffect(() => {
    if (userBefore.current !== user) queries.clear();
    userBefore.current = user;
  }, [user, queries]);

  if (state.kind === 'unknown') {
    if (!away) return <Loading />;
    return (
      <p className={classes.away} role="alert">
        <Trans>The server does not answer. It is tried again every few seconds.</Trans>
      </p>
    );
  }
  if (!session) return <SignIn why="signed-out" lastUser="" />;
  return (
    <>
      <div key={user} className={classes.kept}>
        {children(session)}
      </div>
      {state.kind === 'absent' && <SignInCover user={user} />}
    </>
  );
}

/** Asks who is signed in until there is an answer; tells whether the server is away. */
function useResume(wanted: boolean): boolean {
  const [away, setAway] = useState(false);
  useEffect(() => {
    if (!wanted) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const attempt = () => {
      resumeSession().catch(() => {
        if (stopped) return;
        setAway(true);
        timer = setTimeout(attempt, RETRY_MS);
      });
    };
    attempt();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [wanted]);
  return away;
}

/** Over everything, dialogs included, which cannot be reached until it is gone. */
function SignInCover({ user }: { user: string }) {
  const [host] = useState(() => document.createElement('div'));
  // Before the form's own effect, which puts the cursor into it.
  useLayoutEffect(() => {
    host.className = classes.cover ?? '';
    const others = [...document.body.children].filter((element) => element !== host);
    const inertBefore = others.map((element) => element.hasAttribute('inert'));
    for (const element of others) element.setAttribute('inert', '');
    document.body.append(host);
    return () => {
      others.forEach((element, at) => {
        if (!inertBefore[at]) element.removeAttribute('inert');
      });
      host.remove();
    };
  }, [host]);
  return createPortal(<SignIn why="expired" lastUser={user} />, host);
}
