import { useEffect, useRef, useSyncExternalStore } from 'react';

/** A key that does something where one is; the list of keys and the command palette show it. */
export interface PageKey {
  key: string;
  words: string;
  act: () => void;
  /** It acts once there is something to act on, such as a row. */
  waits?: boolean;
}

let listed: readonly PageKey[] = [];
const listeners = new Set<() => void>();

function setListed(keys: readonly PageKey[]): void {
  listed = keys;
  for (const listener of listeners) listener();
}

/** The keys that act at present, and those that wait for something to act on, in the order in which the page named them. */
export function usePageKeys(): readonly PageKey[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => listed,
  );
}

/** Whether a key belongs to who writes, chooses, or is in a dialog, and not to the page. */
export function isTaken(event: KeyboardEvent): boolean {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return true;
  const at = event.target instanceof Element ? event.target : null;
  // A box to tick takes the space bar only.
  if (at?.matches('input[type="checkbox"]') && event.key !== ' ') return false;
  return at?.closest('input, textarea, select, [contenteditable], [role="dialog"], [role="menu"]') != null;
}

/** Lists a key that waits for something to act on, for who asks what the keys do. */
export function useWaitingKey(key: string, words: string, waits: boolean): void {
  useEffect(() => {
    if (!waits) return;
    const entry = { key, words, act: () => undefined, waits };
    setListed([...listed, entry]);
    return () => setListed(listed.filter((each) => each !== entry));
  }, [key, words, waits]);
}

/**
 * Calls `act` when a key is pressed anywhere but where one writes or chooses, and no dialog is open.
 * With `words` the key is listed for who asks what the keys do.
 */
export function useKey(key: string, act: (() => void) | undefined, words = ''): void {
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  const acts = act !== undefined;
  useEffect(() => {
    if (!acts) return;
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== key || isTaken(event) || document.querySelector('[aria-modal="true"]')) return;
      event.preventDefault();
      latest.current?.();
    };
    document.addEventListener('keydown', pressed);
    const entry = { key, words, act: () => latest.current?.() };
    if (words) setListed([...listed, entry]);
    return () => {
      document.removeEventListener('keydown', pressed);
      if (words) setListed(listed.filter((each) => each !== entry));
    };
  }, [key, acts, words]);
}

/** A key as it is written on it. */
export function shownKey(key: string): string {
  return key === 'Escape' ? 'Esc' : key.toUpperCase();
}
