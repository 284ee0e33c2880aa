/**
 * The server under test, as the environment names it:
 * `CITYWATCH_URL`, `CITYWATCH_USER`, `CITYWATCH_PASSWORD`; `CITYWATCH_CHROMIUM` for another browser.
 */
import type { APIRequestContext, Page } from '@playwright/test';
import type { IncidentDetail, IncidentPage, Session } from '../src/api/types';

/** Cookie and language (English, so that the tests read well) for all but the sign-in's own tests. */
export const SESSION_FILE = 'test-results/session.json';

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the browser tests need a running citywatch up`);
  return value;
}

export function baseUrl(): string {
  return fromEnvironment('CITYWATCH_URL').replace(/\/$/, '');
}

export function credentials(): { user: string; password: string } {
  return { user: fromEnvironment('CITYWATCH_USER'), password: fromEnvironment('CITYWATCH_PASSWORD') };
}

export async function listIncidents(request: APIRequestContext): Promise<IncidentPage> {
  const response = await request.get('/api/v1/incidents?limit=50');
  if (!response.ok()) throw new Error(`GET /incidents: ${response.status()}`);
  return response.json();
}

export async function incidentOf(request: APIRequestContext, id: string): Promise<IncidentDetail> {
  const response = await request.get(`/api/v1/incidents/${id}`);
  if (!response.ok()) throw new Error(`GET /incidents/${id}: ${response.status()}`);
  return response.json();
}

/** Changes an incident's state as somebody else would, past the page. */
export function changeState(request: APIRequestContext, id: string, state: string): Promise<void> {
  return changeIncident(request, id, { state });
}

/** Changes an incident as somebody else would, past the page. */
export async function changeIncident(request: APIRequestContext, id: string, data: object): Promise<void> {
  const session: Session = await (await request.get('/api/v1/session')).json();
  const { version } = await incidentOf(request, id);
  const response = await request.patch(`/api/v1/incidents/${id}`, {
    headers: { 'X-CSRF-Token': session.csrf ?? '', 'If-Match': `"${version}"` },
    data,
  });
  if (!response.ok())
    throw new Error(`PATCH /incidents/${id}: ${response.status()} ${await response.text()}`);
}

/** The units of the demo, so that there is a tree. */
export async function importUnits(request: APIRequestContext): Promise<void> {
  const session: Session = await (await request.get('/api/v1/session')).json();
  const response = await request.put('/api/v1/units', {
    headers: { 'X-CSRF-Token': session.csrf ?? '', 'Content-Type': 'text/csv' },
    data: 'id,name,parent\nhcmc,Thành phố Hồ Chí Minh,\nhcmc/ben-thanh,Phường Bến Thành,hcmc\nhcmc/cho-lon,Phường Chợ Lớn,hcmc\n',
  });
  if (!response.ok()) throw new Error(`PUT /units: ${response.status()} ${await response.text()}`);
}

/** Gathers what must never happen on any page: script errors, refused content, dialogs. */
export function watchTrouble(page: Page): string[] {
  const trouble: string[] = [];
  page.on('pageerror', (error) => trouble.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    trouble.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/i.test(message.text())) trouble.push(message.text());
  });
  return trouble;
}
