import { useSessionStorage } from '@mantine/hooks';
import { useCallback, useMemo } from 'react';

export interface Selection {
  ids: ReadonlySet<string>;
  toggle: (id: string) => void;
  /** Adds all of these, or takes all of them out. */
  set: (ids: string[], chosen: 'in' | 'out') => void;
  clear: () => void;
}

/** Which incidents are ticked; outlives a reload and a new sign-in. */
export function useSelection(): Selection {
  const [list, setList] = useSessionStorage<string[]>({
    key: 'citywatch.selection',
    defaultValue: [],
    getInitialValueInEffect: false,
  });
  const ids = useMemo(() => new Set(list), [list]);
  const toggle = useCallback(
    (id: string) =>
      setList((before) => (before.includes(id) ? before.filter((each) => each !== id) : [...before, id])),
    [setList],
  );
  const set = useCallback(
    (changed: string[], chosen: 'in' | 'out') =>
      setList((before) => {
        const kept = before.filter((each) => !changed.includes(each));
        return chosen === 'in' ? [...kept, ...changed] : kept;
      }),
    [setList],
  );
  const clear = useCallback(() => setList([]), [setList]);
  return useMemo(() => ({ ids, toggle, set, clear }), [ids, toggle, set, clear]);
}
