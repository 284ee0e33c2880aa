import { createContext, useContext } from 'react';
import type { Selection } from './selection';

/** What a row of the list needs to know of the list. */
export interface Queue {
  selection: Selection;
  /** The incident beside the table. */
  panel: string | undefined;
  open: (id: string) => void;
  /** Ids from the last ticked row to this one. */
  upTo: (id: string) => string[];
}

export const QueueContext = createContext<Queue | null>(null);

export function useQueue(): Queue {
  const queue = useContext(QueueContext);
  if (!queue) throw new Error('QueueContext is set in IncidentsPage');
  return queue;
}
