import type { IncidentFilter } from '../api/incidentFilter';
import { incidentPage } from '../api/queries';
import type { Incident } from '../api/types';
import { csvOf } from '../text/csv';

/** More than this is a task for the API. */
export const EXPORT_ROWS_MAX = 10_000;
const PAGE_ROWS = 500;

/** All incidents that the filter lets through, newest first, as far as a file may hold them. */
async function allOf(filter: IncidentFilter): Promise<Incident[]> {
  const all: Incident[] = [];
  let cursor: string | null = null;
  do {
    const page = await incidentPage(filter, cursor, { limit: PAGE_ROWS });
    all.push(...page.items);
    cursor = page.next_cursor ?? null;
  } while (cursor && all.length < EXPORT_ROWS_MAX);
  return all.slice(0, EXPORT_ROWS_MAX);
}

/** The names of the columns are those of the API: a file that programs read is the same in each language. */
export function rowsOf(incidents: Incident[]): (string | number | null | undefined)[][] {
  const head = [
    ['number', 'severity', 'state', 'verdict', 'verdict_reason', 'assignee', 'title', 'title_vi'],
    ['unit', 'host', 'entities', 'rule_id', 'tags', 'alert_count', 'event_count'],
    ['first_event_at', 'last_event_at', 'created_at', 'id'],
  ].flat();
  const rows = incidents.map((each) => [
    each.number,
    each.severity,
    each.state,
    each.verdict,
    each.verdict_reason,
    each.assignee,
    each.title,
    each.title_vi,
    each.unit,
    each.host,
    each.entities.map(({ kind, value }) => `${kind}:${value}`).join(' '),
    each.rule.id,
    each.tags.join(' '),
    each.alert_count,
    each.event_count,
    each.first_event_at,
    each.last_event_at,
    each.created_at,
    each.id,
  ]);
  return [head, ...rows];
}

/** Saves them as a file; gives their number. */
export async function exportIncidents(filter: IncidentFilter): Promise<number> {
  const incidents = await allOf(filter);
  const url = URL.createObjectURL(new Blob([csvOf(rowsOf(incidents))], { type: 'text/csv' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `incidents-${new Date().toISOString().slice(0, 19).replace(/:/g, '')}.csv`;
  link.click();
  URL.revokeObjectURL(url);
  return incidents.length;
}
