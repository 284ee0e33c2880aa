import { createContext, useContext } from 'react';
import type { LiveIncidents } from '../api/live';

export const LiveContext = createContext<LiveIncidents | null>(null);

export function useLive(): LiveIncidents {
  const live = useContext(LiveContext);
  if (!live) throw new Error('LiveContext is set in main.tsx');
  return live;
}
