import { expect, test } from '@playwright/test';
import { incidentOf, listIncidents, watchTrouble } from './server';

// Nothing in here moves a mouse: focus comes from keys alone.

test('a shift by keyboard alone: find, look, assign, judge, take back, suppress, go on', async ({ page }) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  const incident = items.find((each) => !each.verdict && !each.assignee && each.state === 'new');
  if (!incident) throw new Error('the demo has new incidents');
  const now = () => incidentOf(page.request, incident.id);
  await page.goto('/incidents');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  for (let at = 0; at <= items.indexOf(incident); at += 1) await page.keyboard.press('j');
  await expect(page.locator(`a[data-id="${incident.id}"]`)).toBeFocused();
  await page.keyboard.press('Enter');
  const panel = page.getByTestId('incident-panel');
  await expect(panel.getByRole('heading', { level: 2 }).first()).toContainText(`#${incident.number}`);
  // One key each.
  await page.keyboard.press('e');
  await expect.poll(async () => (await now()).state).toBe('acknowledged');
  await page.keyboard.press('a');
  await expect.poll(async () => (await now()).assignee).toBe('admin');
  await page.keyboard.press('t');
  await expect.poll(async () => (await now()).verdict).toBe('true_positive');
  await page.keyboard.press('z');
  await expect.poll(async () => (await now()).verdict).toBe(null);
  // Faster than any answer.
  await page.keyboard.press('f');
  await page.keyboard.press('r');
  await expect
    .poll(async () => [(await now()).verdict, (await now()).state])
    .toEqual(['false_positive', 'resolved']);
  // Suppress: three keys.
  await page.keyboard.press('s');
  const dialog = page.getByRole('dialog', { name: 'Suppress alerts like this' });
  await expect(dialog.getByRole('radio').first()).toBeFocused();
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await expect(dialog).toBeHidden();
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  // Undone past the page, so that other tests find what they look for.
  const session = await (await page.request.get('/api/v1/session')).json();
  const active = await (await page.request.get('/api/v1/suppressions?state=active')).json();
  for (const { id } of active.items) {
    await page.request.delete(`/api/v1/suppressions/${id}`, { headers: { 'X-CSRF-Token': session.csrf } });
  }
  await page.request.patch(`/api/v1/incidents/${incident.id}`, {
    headers: { 'X-CSRF-Token': session.csrf, 'If-Match': `"${(await now()).version}"` },
    data: { state: 'new', verdict: null, assignee: null },
  });
  expect(trouble).toEqual([]);
});

test('? tells the keys of the page; what one types is no key', async ({ page }) => {
  await page.goto('/incidents');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  await page.keyboard.press('j');
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keys of this page' });
  await expect(help).toContainText('Assign to me');
  await expect(help).toContainText('Suppress alerts like this');
  await page.keyboard.press('Escape');
  await expect(help).toBeHidden();
  await page.goto('/search?range=all');
  await expect(page.getByTestId('connection')).toContainText('Live');
  await page.keyboard.press('/');
  await page.keyboard.type('a?');
  await expect(page.getByRole('dialog')).toHaveCount(0);
});

test('Ctrl+K goes to pages and incidents, and does what the keys do', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const [first] = items;
  if (!first) throw new Error('the demo has incidents');
  await page.goto('/incidents');
  await expect(page.getByTestId('connection')).toContainText('Live');
  await page.keyboard.press('Control+k');
  const box = page.getByRole('combobox', { name: /number of an incident/ });
  await expect(box).toBeFocused();
  await page.keyboard.type('status');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/status/);
  await page.keyboard.press('Control+k');
  await expect(box).toBeFocused();
  await page.keyboard.type(`#${first.number}`);
  await expect(page.getByRole('option', { name: new RegExp(`^#${first.number} `) })).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/incidents/${first.id}`));
  await page.keyboard.press('Control+k');
  await expect(box).toBeFocused();
  await page.keyboard.type('no such thing');
  await expect(page.getByText('There is nothing like that.')).toBeVisible();
});
