import { useLocalStorage, useMediaQuery } from '@mantine/hooks';
import { useKey } from './keys';

interface Side {
  /** Under which name the choice is kept. */
  store: string;
  /** Whether there is a panel on the other side of the list. */
  beside: boolean;
  show: string;
  putAway: string;
}

/** What stands left of a list where there is room for it, unless `h` put it away. */
export function useSideShown({ store, beside, show, putAway }: Side): boolean {
  const [away, setAway] = useLocalStorage({
    key: store,
    defaultValue: false,
    getInitialValueInEffect: false,
  });
  const wide = useMediaQuery('(min-width: 75em)', true, { getInitialValueInEffect: false });
  const wider = useMediaQuery('(min-width: 110em)', true, { getInitialValueInEffect: false });
  const room = beside ? wider : wide;
  useKey('h', room ? () => setAway(!away) : undefined, away ? show : putAway);
  return room && !away;
}
