import { useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';

/** Each may all that the ones before it may. */
const ROLES = ['viewer', 'analyst', 'lead', 'administrator'] as const;

/** Whether the person has at least this role. The server decides; this spares buttons that it would refuse. */
export function useRole(least: (typeof ROLES)[number]): boolean {
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  if (session.kind !== 'present') return false;
  const role = ROLES.indexOf(session.session.user.role as (typeof ROLES)[number]);
  return role >= ROLES.indexOf(least);
}
