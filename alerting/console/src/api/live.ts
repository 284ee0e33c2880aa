/**
 * Brings what the live stream says into the lists on screen. A row that is shown changes where it
 * stands; an incident that is not shown waits as "new" until the reader asks for it, so that no row
 * ever moves under the cursor.
 */
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { forgetEarly } from './early';
import type { IncidentFilter } from './incidentFilter';
import { incidentPage, lets } from './queries';
import { type LiveStream, liveStream } from './stream';
import type { Incident, IncidentDetail, IncidentPage } from './types';

type Pages = InfiniteData<IncidentPage, string | null>;

/** More than this is shown as "999+"; the oldest are forgotten first. */
const WAITING_MAX = 1_000;

const GATHER_MS = 150;

/** Begins the keys under which the versions are kept that changes from here made. */
export const OWN_VERSION = 'own version';

export class LiveIncidents {
  #waiting: ReadonlyMap<string, Incident> = new Map();
  readonly #listeners = new Set<() => void>();
  readonly #queries: QueryClient;
  readonly #heard = new Map<string, Incident>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopWaiting: () => void = () => undefined;

  constructor(queries: QueryClient) {
    this.#queries = queries;
  }

  /** Incidents heard of lately; {@link newFor} tells which of them a list lacks. Replaced with each change. */
  get = (): ReadonlyMap<string, Incident> => this.#waiting;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Follows the stream until the returned function is called. */
  follow(stream: LiveStream = liveStream): () => void {
    const stopEvents = stream.onEvent((event) => {
      if (event.event === 'reset') this.#reset();
      if (event.event !== 'incident') return;
      try {
        this.#hear(JSON.parse(event.data) as Incident);
      } catch {
        // One event that cannot be read costs that event only.
      }
    });
    const stopStanding = stream.onStanding(() => void this.#catchUp());
    stream.start();
    return () => {
      stopEvents();
      stopStanding();
      this.#stopWaiting();
      stream.stop();
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#heard.clear();
      this.#set(new Map());
    };
  }

  /** Gathers a burst, so that a flood of changes paints a few times a second and not with each. */
  #hear(incident: Incident): void {
    this.#heard.set(incident.id, incident);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const heard = [...this.#heard.values()];
      this.#heard.clear();
      for (const each of heard) this.observe(each);
    }, GATHER_MS);
  }

  /** An incident as it is now. */
  observe(incident: Incident): void {
    const lists = this.#queries.getQueriesData<Pages>({ queryKey: ['incidents'] });
    for (const [key, data] of lists) {
      const changed = data && withIncident(data, incident);
      if (changed) this.#queries.setQueryData<Pages>(key, changed);
    }
    const detail = this.#queries.getQueryData<IncidentDetail>(['incident', incident.id]);
    if (detail && detail.version < incident.version) {
      void this.#queries.invalidateQueries({ queryKey: ['incident', incident.id] });
    }
    // Where every list begins with newer ones it waits for nobody, and must not crowd out those that do.
    const listed = lists.flatMap(([, data]) => (data ? [newestOf(data)] : []));
    const known = listed.length > 0 && listed.every((newest) => newest >= incident.number);
    if (known && !this.#waiting.has(incident.id)) return;
    const waiting = new Map(this.#waiting).set(incident.id, incident);
    for (const id of waiting.keys()) {
      if (waiting.size <= WAITING_MAX) break;
      waiting.delete(id);
    }
    this.#set(waiting);
  }

  /** Shows the newest from the top: the first page anew, what waited is in it. */
  async showNewest(filter: IncidentFilter): Promise<void> {
    const key = ['incidents', filter];
    this.#queries.setQueryData<Pages>(key, (data) =>
      data ? { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) } : data,
    );
    await this.#queries.refetchQueries({ queryKey: key, exact: true });
  }

  /** After a gap: what is at the top now, told as if it had been heard. */
  async #catchUp(): Promise<void> {
    const lists = this.#queries.getQueriesData<Pages>({ queryKey: ['incidents'] });
    this.#stopWaiting();
    if (!lists.some(([, data]) => data)) {
      // The list that comes first may have been read before the connection stood.
      this.#stopWaiting = this.#queries.getQueryCache().subscribe(({ type, query }) => {
        if (type !== 'updated' || query.queryKey[0] !== 'incidents' || !query.state.data) return;
        void this.#catchUp();
      });
      return;
    }
    forgetEarly();
    try {
      const page = await incidentPage({}, null);
      for (const incident of page.items) this.observe(incident);
      void this.#queries.invalidateQueries({ queryKey: ['incident'] });
    } catch {
      // The connection went again; the next standing one catches up.
    }
  }

  /** The server's incidents are others than those that were read: its database was restored. All is asked for anew. */
  #reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#heard.clear();
    this.#set(new Map());
    forgetEarly();
    // Numbers of versions begin again, too.
    this.#queries.removeQueries({ queryKey: [OWN_VERSION] });
    void this.#queries.invalidateQueries();
  }

  #set(waiting: ReadonlyMap<string, Incident>): void {
    this.#waiting = waiting;
    for (const listener of this.#listeners) listener();
  }
}

/** `data` with the incident in its place, or `null` when it is not in there or not newer. */
export function withIncident(data: Pages, incident: Incident): Pages | null {
  let found = false;
  const pages = data.pages.map((page) => {
    const at = page.items.findIndex((item) => item.id === incident.id);
    const before = page.items[at];
    if (!before) return page;
    found = true;
    if (before.version > incident.version) return page;
    return { ...page, items: page.items.with(at, incident) };
  });
  return found ? { ...data, pages } : null;
}

/** The highest number in a list; 0 of an empty one. */
function newestOf(data: Pages): number {
  return data.pages.flatMap((page) => page.items).reduce((newest, { number }) => Math.max(newest, number), 0);
}

/** Those of `waiting` that a list with this filter would show above its first row. */
export function newFor(
  data: { pages: IncidentPage[] } | undefined,
  filter: IncidentFilter,
  waiting: ReadonlyMap<string, Incident>,
  below?: ReadonlySet<string>,
): Incident[] {
  if (!data) return [];
  const ids = new Set<string>();
  let newest = 0;
  for (const page of data.pages) {
    for (const item of page.items) {
      ids.add(item.id);
      newest = Math.max(newest, item.number);
    }
  }
  return [...waiting.values()].filter(
    (incident) => incident.number > newest && !ids.has(incident.id) && lets(filter, incident, below),
  );
}
