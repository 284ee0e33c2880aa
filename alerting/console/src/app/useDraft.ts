import { useSessionStorage } from '@mantine/hooks';
import { useEffect } from 'react';

/**
 * What is typed and not yet sent: it outlives Back, a reload and a new sign-in. It belongs to what stood there
 * before, `of`; when that is another, because it was sent or somebody else changed it, that is shown.
 */
export function useDraft(key: string, of: string): [string, (draft: string) => void] {
  const [kept, setKept] = useSessionStorage({
    key: `citywatch.draft.${key}`,
    defaultValue: { of, draft: of },
    getInitialValueInEffect: false,
  });
  return [kept.of === of ? kept.draft : of, (draft) => setKept({ of, draft })];
}

/** What is typed over a text that others change too. */
export interface SharedDraft {
  /** What stood there when the typing began. */
  of: string;
  draft: string;
  isTyped: boolean;
}

/** What the box shows, and beside it the text of somebody else, where that came while one typed. */
export function contested(
  { of, draft, isTyped }: SharedDraft,
  now: string,
): { text: string; theirs?: string } {
  if (of === now) return { text: draft };
  if (!isTyped || draft.trim() === now) return { text: now };
  return { text: draft, theirs: now };
}

/** Like {@link useDraft}, but what is typed stays when somebody else changes what it is typed over. */
export function useSharedDraft(key: string, now: string) {
  const [kept, setKept] = useSessionStorage<SharedDraft>({
    key: `citywatch.draft.${key}`,
    defaultValue: { of: now, draft: now, isTyped: false },
    getInitialValueInEffect: false,
  });
  const shown = contested(kept, now);
  // It was sent, or not begun: what comes later is beside nothing.
  const isSettled = kept.of !== now && shown.theirs === undefined;
  useEffect(() => {
    if (isSettled) setKept({ of: now, draft: now, isTyped: false });
  }, [isSettled, now, setKept]);
  return {
    ...shown,
    setText: (draft: string) =>
      setKept(
        shown.theirs === undefined
          ? { of: now, draft, isTyped: draft !== now }
          : { of: kept.of, draft, isTyped: true },
      ),
    takeTheirs: () => setKept({ of: now, draft: now, isTyped: false }),
  };
}
