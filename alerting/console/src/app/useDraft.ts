import { useSessionStorage } from '@mantine/hooks';

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
