import { useSyncExternalStore } from 'react';
import { sessionHolder } from '../api/client';

/** Each may all that the ones before it may. */
export const ROLES = ['viewer', 'analyst', 'lead', 'administrator'] as const;
export type RoleName = (typeof ROLES)[number];

function rankOf(role: string | undefined): number {
  return ROLES.indexOf(role as RoleName);
}

function useRank(): number {
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  return session.kind === 'present' ? rankOf(session.session.user.role) : -1;
}

/** Whether the person has at least this role. The server decides; this spares buttons that it would refuse. */
export function useRole(least: RoleName): boolean {
  return useRank() >= rankOf(least);
}

/** The same for a list of things of which each names its least role. */
export function useAllowed<T extends { least: RoleName }>(things: T[]): T[] {
  const rank = useRank();
  return things.filter(({ least }) => rank >= rankOf(least));
}

/** Whether the person sees the whole city, and not a part of its tree of units. */
export function useWholeCity(): boolean {
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  return session.kind === 'present' && session.session.user.unit === '';
}

/** The name of who is signed in; empty while nobody is. */
export function useMe(): string {
  const session = useSyncExternalStore(sessionHolder.subscribe, sessionHolder.get);
  return session.kind === 'present' ? session.session.user.name : '';
}
