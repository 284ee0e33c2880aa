import { expect, test } from '@playwright/test';
import { baseUrl, listIncidents } from './server';

// What goes wrong says what happened and what to do next, and takes nothing away that was typed.

test('an incident that is not there says so, and the way back is there', async ({ page }) => {
  await page.goto('/incidents/0000000000000000');
  await expect(page.getByRole('alert')).toContainText('It is not there, or not for you to see.');
  await page.getByRole('link', { name: 'All incidents' }).click();
  await expect(page).toHaveURL(/\/incidents(\?|$)/);
});

test('a query that fails says why, and is asked again as it was', async ({ page }) => {
  const events = (url: URL) => url.pathname === '/api/v1/events';
  await page.route(events, (route) =>
    route.fulfill({
      status: 503,
      contentType: 'application/problem+json',
      body: JSON.stringify({ status: 503, detail: 'The event store does not answer.' }),
    }),
  );
  await page.goto('/search?range=all&q=sshd');
  const alert = page.getByRole('alert').filter({ hasText: 'The event store does not answer.' });
  await expect(alert).toContainText('Try again; if it goes on, look at the system status.');
  // Said while it is asked again by itself; once that is given up, there is a button.
  const again = alert.getByRole('button', { name: 'Try again' });
  await expect(again).toBeVisible();
  await page.unroute(events);
  await again.click();
  await expect(page.getByRole('table', { name: 'Events' }).locator('a[data-row]').first()).toBeVisible();
  await expect(page).toHaveURL(/q=sshd/);
});

test('who loses a role is told, and keeps what was typed', async ({ page, browser }) => {
  const { csrf } = await (await page.request.get('/api/v1/session')).json();
  const name = `leaver-${Date.now()}`;
  const made = await page.request.post('/api/v1/users', {
    headers: { 'X-CSRF-Token': csrf },
    data: { name, role: 'analyst', unit: '' },
  });
  const { id, password } = await made.json();
  const incident = (await listIncidents(page.request)).items[0];

  const context = await browser.newContext({
    baseURL: baseUrl(),
    storageState: { cookies: [], origins: [] },
  });
  await context.addInitScript(() => localStorage.setItem('citywatch.language', 'en'));
  await context.request.post('/api/v1/session', { data: { user: name, password } });
  const theirs = await context.newPage();
  await theirs.goto(`/incidents/${incident?.id}`);
  const box = theirs.getByRole('textbox', { name: 'Comment' });
  await box.fill('seen on the firewall, too');

  const people = (await (await page.request.get('/api/v1/users')).json()).items;
  const { version } = people.find((person: { id: string }) => person.id === id);
  const changed = await page.request.patch(`/api/v1/users/${id}`, {
    headers: { 'X-CSRF-Token': csrf, 'If-Match': `"${version}"` },
    data: { role: 'viewer' },
  });
  expect(changed.ok()).toBe(true);

  await theirs.getByRole('button', { name: /^Comment|^Send/ }).click();
  const alert = theirs.getByRole('alert').filter({ hasText: 'You may not do this.' });
  await expect(alert).toContainText('This needs the role analyst; yours is viewer. Ask an administrator.');
  await expect(box).toHaveValue('seen on the firewall, too');
  await context.close();
});

test('problems are said in the language of the page', async ({ page }) => {
  await page.addInitScript(() => localStorage.setItem('citywatch.language', 'vi'));
  await page.goto('/incidents/0000000000000000');
  await expect(page.getByRole('alert')).toContainText(
    'Không có sự cố này, hoặc nó nằm ngoài các đơn vị của bạn',
  );
  await page.goto('/administration/people?edit=new');
  await page.getByRole('textbox', { name: /^Tên/ }).fill('no name at all');
  await page.getByRole('dialog').locator('button[type="submit"]').click();
  await expect(page.getByRole('dialog')).toContainText('phải gồm 1 đến 64 chữ cái');
  await page.goto(`/search?range=all&q=${encodeURIComponent('user:(root')}`);
  await expect(page.getByTestId('query-fault')).toContainText('ngoặc');
});
