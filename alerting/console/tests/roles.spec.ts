import { type APIRequestContext, type Browser, expect, type Page, test } from '@playwright/test';
import { baseUrl, incidentOf, listIncidents, watchTrouble } from './server';

/** Makes a person of that role and gives a page on which they are signed in. */
async function pageOf(browser: Browser, admin: APIRequestContext, role: string): Promise<Page> {
  const { csrf } = await (await admin.get('/api/v1/session')).json();
  const name = `${role}-${Date.now()}`;
  const made = await admin.post('/api/v1/users', {
    headers: { 'X-CSRF-Token': csrf },
    data: { name, role, unit: '' },
  });
  const { password } = await made.json();
  const context = await browser.newContext({
    baseURL: baseUrl(),
    ignoreHTTPSErrors: true,
    viewport: { width: 1440, height: 900 },
    storageState: { cookies: [], origins: [] },
  });
  await context.addInitScript(() => localStorage.setItem('citywatch.language', 'en'));
  const signedIn = await context.request.post('/api/v1/session', { data: { user: name, password } });
  expect(signedIn.status()).toBe(200);
  return context.newPage();
}

/** What each role may see of what is not for all. */
const SEES: Record<string, { decides: boolean; suppresses: boolean; administers: boolean }> = {
  viewer: { decides: false, suppresses: false, administers: false },
  analyst: { decides: true, suppresses: false, administers: false },
  lead: { decides: true, suppresses: true, administers: false },
  administrator: { decides: true, suppresses: true, administers: true },
};

for (const [role, sees] of Object.entries(SEES)) {
  test(`what the role ${role} sees, and no more`, async ({ page: admin, browser }) => {
    const { items } = await listIncidents(admin.request);
    const id = items[0]?.id ?? '';
    const page = await pageOf(browser, admin.request, role);
    const trouble = watchTrouble(page);
    await page.goto(`/incidents?panel=${id}&at=${id}`);
    const panel = page.getByTestId('incident-panel');
    await expect(panel.getByRole('heading', { level: 2 }).first()).toBeVisible();
    await expect(panel.getByRole('group', { name: 'Verdict' })).toHaveCount(sees.decides ? 1 : 0);
    await expect(page.getByRole('checkbox', { name: /^Tick #/ }).first()).toBeVisible({
      visible: sees.decides,
    });
    await expect(panel.getByRole('button', { name: /^Suppress alerts/ })).toHaveCount(
      sees.suppresses ? 1 : 0,
    );
    const before = await incidentOf(admin.request, id);
    await page.goto(`/incidents/${id}`);
    await expect(page.getByTestId('story')).toBeVisible();
    await expect(page.getByRole('textbox', { name: 'Comment' })).toHaveCount(sees.decides ? 1 : 0);
    if (!sees.decides) {
      // A key does no more than a button that is not there.
      for (const key of ['a', 't', 'b', 'f', 'e', 'r']) await page.keyboard.press(key);
      expect((await incidentOf(admin.request, id)).version).toBe(before.version);
    }
    await page.getByRole('link', { name: 'Administration' }).click();
    await expect(page.getByRole('heading', { name: 'Suppressions' })).toBeVisible();
    for (const name of ['People', 'Tokens', 'Audit log', 'Notifications']) {
      await expect(page.getByRole('link', { name, exact: true })).toHaveCount(sees.administers ? 1 : 0);
    }
    await page.goto('/administration/people');
    if (sees.administers) await expect(page.getByTestId('person').first()).toBeVisible();
    else {
      // Neither a frame without content nor a request that is refused.
      await expect(page.getByRole('heading', { name: '“People” is not for your role' })).toBeVisible();
      await expect(page.getByRole('button', { name: 'New person' })).toHaveCount(0);
      await page.getByRole('link', { name: 'To the incidents' }).click();
      await expect(page.getByRole('heading', { name: 'Incidents', level: 1 })).toBeVisible();
    }
    expect(trouble).toEqual([]);
    await page.context().close();
  });
}

test('away from the network nothing is lost, and back it goes on', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find(({ state }) => state === 'new') ?? items[0];
  if (!incident) throw new Error('the demo has incidents');
  await page.goto(`/incidents?at=${incident.id}`);
  await expect(page.getByTestId('connection')).toContainText('Live');
  await page.locator(`a[data-id="${incident.id}"]`).focus();
  await page.getByRole('checkbox', { name: `Tick #${incident.number}`, exact: true }).click();
  await expect(page.getByTestId('bulk-bar')).toBeVisible();
  await page.context().setOffline(true);
  await page.keyboard.press('e');
  await expect(page.getByText('No answer')).toBeVisible();
  await expect(page.getByText('The server does not answer').first()).toBeVisible();
  // The rows, the tick and the address are as they were.
  await expect(page.getByRole('checkbox', { name: `Tick #${incident.number}`, exact: true })).toBeChecked();
  expect((await incidentOf(page.request, incident.id).catch(() => incident)).state).toBe(incident.state);
  await page.context().setOffline(false);
  await expect(page.getByTestId('connection')).toContainText('Live');
  await page.keyboard.press('e');
  await expect.poll(async () => (await incidentOf(page.request, incident.id)).state).toBe('acknowledged');
  await page.keyboard.press('z');
  await expect.poll(async () => (await incidentOf(page.request, incident.id)).state).toBe('new');
});
