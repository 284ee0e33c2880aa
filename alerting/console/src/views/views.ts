/** Saved views: what an address says after the question mark, under a name. */
import { ApiError, call } from '../api/client';
import type { SavedView } from '../api/types';

/** The screens that have views, as the server keeps them. */
export type ViewScreen = 'incidents' | 'events';

/** One text for one filter, whatever the order of its names. */
export function queryOf(search: Record<string, string | undefined>): string {
  const set = Object.entries(search).filter(
    (entry): entry is [string, string] => !!entry[1] && !(entry[0] === 'state' && entry[1] === 'all'),
  );
  return new URLSearchParams(set.sort(([one], [other]) => (one < other ? -1 : 1))).toString();
}

/** The filter that a view's text stands for. */
export function searchOf(query: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(query));
}

export function saveView(wish: Pick<SavedView, 'name' | 'screen' | 'query'>): Promise<SavedView> {
  return call<SavedView>('/views', { method: 'POST', body: wish });
}

export function changeView(
  { id, version, screen, ...view }: SavedView,
  change: Partial<Pick<SavedView, 'name' | 'query'>>,
): Promise<SavedView> {
  const body = { name: view.name, query: view.query, screen, ...change };
  return call<SavedView>(`/views/${encodeURIComponent(id)}`, { method: 'PUT', body, ifMatch: version });
}

export function deleteView({ id }: SavedView): Promise<void> {
  return call(`/views/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Where browsers kept views before the server did. */
function formerKey(me: string): string {
  return `citywatch.views.${me}`;
}

/** Gives the server the views that this browser kept; how many it took. */
export async function moveFormerViews(me: string): Promise<number> {
  const kept = localStorage.getItem(formerKey(me));
  if (kept === null) return 0;
  let moved = 0;
  for (const { name, filter } of formerViews(kept)) {
    try {
      await saveView({ name, screen: 'incidents', query: queryOf(filter) });
      moved += 1;
    } catch (error) {
      // One of that name is there already, or it is none that could be kept. Anything else is tried another time.
      if (!(error instanceof ApiError) || error.status >= 500) return moved;
    }
  }
  localStorage.removeItem(formerKey(me));
  return moved;
}

/** What a browser's text says, as far as it says anything. */
export function formerViews(kept: string): { name: string; filter: Record<string, string> }[] {
  try {
    const views: unknown = JSON.parse(kept);
    return (Array.isArray(views) ? views : []).filter(
      (view) => typeof view?.name === 'string' && typeof view.filter === 'object' && view.filter !== null,
    );
  } catch {
    return [];
  }
}
