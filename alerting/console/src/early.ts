/**
 * The first to run, and small, so that it runs while the rest is still on its way: asks for what every page and the list
 * of incidents wait for. What it begins, the rest of the console finds begun.
 */
import { askEarly } from './api/early';
import { INCIDENTS_PER_PAGE, incidentFilter, incidentPagePath, QUEUE } from './api/incidentFilter';
import { CATALOGUES, storedLanguage } from './app/catalogues';

const { pathname, search } = window.location;
askEarly('/session');
// The start page leads there.
if (pathname === '/incidents' || pathname === '/') {
  const filter = pathname === '/' ? QUEUE : incidentFilter(Object.fromEntries(new URLSearchParams(search)));
  askEarly(incidentPagePath(filter, null, INCIDENTS_PER_PAGE));
  void import('./incidents/IncidentsPage').catch(() => undefined);
}
void CATALOGUES[storedLanguage()]().catch(() => undefined);
