/**
 * Which incidents are listed: as the address of the page has it, and as the server is asked for it. Without other
 * modules of weight: the first page of the list is asked for before the rest of the console is there.
 */
import { query } from './parameters';

export const INCIDENTS_PER_PAGE = 50;

/** What a list of incidents lets through; what is not named lets everything through. */
export interface IncidentFilter {
  /** Names joined by commas; `open` for those that wait for somebody, `overdue` alone for a clock that ran out. */
  state?: string;
  /** Names joined by commas. */
  severity?: string;
  /** Ids joined by commas. */
  unit?: string;
  /** This unit and those below it. */
  unit_below?: string;
  host?: string;
  /** Ids joined by commas. */
  rule?: string;
  /** Names joined by commas; `~none` for nobody. */
  assignee?: string;
  verdict?: string;
  /** ATT&CK's tactics joined by commas. */
  tactic?: string;
  /** `kind:value`. */
  entity?: string;
  /** Of the last event: not before, RFC 3339. */
  from?: string;
  /** Of the last event: before, RFC 3339. */
  to?: string;
  /** `score` for the most urgent first; without it the newest are first. */
  sort?: 'score';
}

/** How the list opens where no address says otherwise: with what waits for somebody. */
export const QUEUE: IncidentFilter = { state: 'open' };

/** The filter in a page's address; what is not set is left out. */
export function incidentFilter(search: Record<string, unknown>): IncidentFilter {
  const text = (name: string) => {
    const value = search[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const filter = {
    state: search.state === 'all' ? undefined : text('state'),
    severity: text('severity'),
    unit: text('unit'),
    unit_below: text('unit_below'),
    host: text('host'),
    rule: text('rule'),
    assignee: text('assignee'),
    verdict: text('verdict'),
    entity: text('entity'),
    tactic: text('tactic'),
    from: text('from'),
    to: text('to'),
    sort: search.sort === 'score' ? ('score' as const) : undefined,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}

/** The filter as the server's parameters. */
export function filterParameters({ state, rule, ...rest }: IncidentFilter) {
  const wanted = state === 'overdue' ? { overdue: 'true' } : { state: state === 'all' ? undefined : state };
  return { ...rest, rule_id: rule, ...wanted };
}

/** What a page of the list is asked for by. */
export function incidentPagePath(filter: IncidentFilter, cursor: string | null, limit: number): string {
  return `/incidents${query({ limit, cursor, ...filterParameters(filter) })}`;
}
