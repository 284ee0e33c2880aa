import { expect, test } from '@playwright/test';
import { changeIncident, changeState, incidentOf, listIncidents, watchTrouble } from './server';

test('at least five incidents, one of them from a correlation', async ({ page }) => {
  const trouble = watchTrouble(page);
  // The server may have started a moment ago: the recordings are still being read.
  const kinds = async () =>
    new Set((await listIncidents(page.request)).items.map(({ rule }) => rule.id)).size;
  const correlations = async () =>
    (await listIncidents(page.request)).items.filter(({ rule }) => rule.correlation);
  await expect.poll(kinds, { timeout: 180_000 }).toBeGreaterThanOrEqual(5);
  await expect.poll(async () => (await correlations()).length, { timeout: 90_000 }).toBeGreaterThanOrEqual(1);
  await page.goto('/incidents');
  await expect(page.getByTestId('connection')).toContainText('Live');
  await expect.poll(() => page.locator('a[data-row]').count()).toBeGreaterThanOrEqual(5);
  expect(trouble).toEqual([]);
});

test('an incident shows what happened, its events with what matched, and the rule', async ({ page }) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  for (const incident of [
    items.find((each) => each.rule.correlation),
    items.find((each) => !each.rule.correlation),
  ]) {
    if (!incident) throw new Error('the demo has incidents of rules and of correlations');
    await page.goto('/incidents');
    await page.locator(`a[data-id="${incident.id}"]`).click();
    await page.getByRole('link', { name: /^Whole page/ }).click();
    await expect(page).toHaveURL(new RegExp(`/incidents/${incident.id}`));
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(incident.title);
    await expect(page.getByTestId('story')).toContainText(incident.host);
    await expect(page.getByTestId('timeline-event').first().locator('mark').first()).toBeVisible();
    const detail = await incidentOf(page.request, incident.id);
    const firstLine = detail.rules[0]?.text.split('\n').find((line) => line.trim() !== '') ?? '';
    await expect(page.getByTestId('rule').first()).toContainText(firstLine.trim());
  }
  expect(trouble).toEqual([]);
});

test('an open event has an address', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  await page.goto(`/incidents/${items[0]?.id}`);
  const event = page.getByTestId('timeline-event').first();
  await event.getByRole('button', { name: /All \d+ fields/ }).click();
  await expect(page).toHaveURL(/event=/);
  await page.reload();
  await expect(event.getByRole('button', { name: 'Only what matched' })).toBeVisible();
});

test('a change of state is kept and told in the history', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items[1];
  if (!incident) throw new Error('the demo has incidents');
  if (incident.state !== 'new' && incident.state !== 'acknowledged') {
    await changeState(page.request, incident.id, 'in_progress');
  }
  await page.goto(`/incidents/${incident.id}`);
  const history = page.getByRole('region', { name: 'History' }).getByRole('listitem');
  await expect(page.getByTestId('story')).toBeVisible();
  const before = await history.count();
  await page.getByRole('button', { name: 'Resolve' }).click();
  await expect(page.getByRole('button', { name: 'Reopen' })).toBeVisible();
  await expect.poll(() => history.count()).toBeGreaterThan(before);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Reopen' })).toBeVisible();
  await page.getByRole('button', { name: 'Reopen' }).click();
  await expect(page.getByRole('button', { name: 'Resolve' })).toBeVisible();
  // The keys are those of the list.
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys of this page' })).toContainText('Resolve');
  await page.keyboard.press('Escape');
  // Faster than any answer, of two parts of the page.
  const { assignee } = await incidentOf(page.request, incident.id);
  await page.keyboard.press('a');
  await page.keyboard.press('r');
  await expect(page.getByRole('button', { name: 'Reopen' })).toBeVisible();
  await expect(page.getByText('Somebody else has changed')).toBeHidden();
  await expect.poll(async () => (await incidentOf(page.request, incident.id)).assignee).not.toBe(assignee);
  await page.getByRole('button', { name: 'Reopen' }).click();
  await expect(page.getByRole('button', { name: 'Resolve' })).toBeVisible();
});

test('closing asks for the verdict that is missing, and takes a usual reason with one click', async ({
  page,
}) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find((each) => !each.verdict && !each.assignee);
  if (!incident) throw new Error('the demo has incidents that nobody has judged');
  const now = () => incidentOf(page.request, incident.id);
  await changeState(page.request, incident.id, 'resolved');
  await page.goto(`/incidents/${incident.id}`);
  const question = page.getByRole('group', { name: 'Verdict for closing' });
  await page.getByRole('button', { name: /^Close/ }).click();
  await expect(question).toContainText('What did it turn out to be?');
  await expect(question).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(question).toBeHidden();
  expect((await now()).state).toBe('resolved');
  // Two clicks, or two keys.
  await page.getByRole('button', { name: /^Close/ }).click();
  await question.getByRole('button', { name: /^false positive/ }).click();
  await expect
    .poll(async () => [(await now()).state, (await now()).verdict])
    .toEqual(['closed', 'false_positive']);
  const reason = page.getByRole('textbox', { name: 'Reason of the verdict' });
  const usual = page.getByRole('group', { name: 'Usual reasons' });
  await usual.getByRole('button', { name: 'Announced maintenance' }).click();
  await expect(reason).toHaveValue('Announced maintenance');
  await expect.poll(async () => (await now()).verdict_reason).toBe('Announced maintenance');
  await usual.getByRole('button', { name: 'A test' }).click();
  await expect.poll(async () => (await now()).verdict_reason).toBe('A test');
  await reason.fill('A test of the backup');
  await reason.press('Enter');
  await usual.getByRole('button', { name: 'The rule is too broad' }).click();
  await expect
    .poll(async () => (await now()).verdict_reason)
    .toBe('A test of the backup; The rule is too broad');
  // What is closed keeps a verdict: who takes it away is told what to do.
  await page.keyboard.press('f');
  await expect(page.getByText('A closed incident needs a verdict')).toBeVisible();
  expect((await now()).verdict).toBe('false_positive');
  await changeIncident(page.request, incident.id, {
    state: 'resolved',
    verdict: null,
    verdict_reason: null,
  });
  await page.reload();
  await expect(page.getByRole('button', { name: /^Close/ })).toBeVisible();
  await page.keyboard.press('c');
  await page.keyboard.press('b');
  await expect
    .poll(async () => [(await now()).state, (await now()).verdict])
    .toEqual(['closed', 'benign_true_positive']);
  await changeIncident(page.request, incident.id, { state: 'new', verdict: null });
});

test('two people cannot overwrite each other unseen', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items[2];
  if (!incident) throw new Error('the demo has incidents');
  await changeState(page.request, incident.id, 'in_progress').catch(() => undefined);
  await page.goto(`/incidents/${incident.id}`);
  await expect(page.getByRole('button', { name: 'Resolve' })).toBeVisible();
  let faster = false;
  await page.route(`**/api/v1/incidents/${incident.id}`, async (route) => {
    if (route.request().method() === 'PATCH' && !faster) {
      faster = true;
      await changeState(page.request, incident.id, 'resolved');
    }
    await route.continue();
  });
  await page.getByRole('button', { name: 'Resolve' }).click();
  await expect(page.getByText('Somebody else has changed this incident')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Reopen' })).toBeVisible();
});

test('by keyboard alone: down the list, in, and back to the same row', async ({ page }) => {
  await page.goto('/incidents');
  await page.locator('a[data-row="0"]').focus();
  await page.keyboard.press('j');
  await page.keyboard.press('ArrowDown');
  const row = page.locator('a[data-row="2"]');
  await expect(row).toBeFocused();
  await expect(page).toHaveURL(/at=/);
  const id = await row.getAttribute('data-id');
  await page.keyboard.press('o');
  await expect(page).toHaveURL(new RegExp(`/incidents/${id}`));
  await page.goBack();
  await expect(page.locator(`a[data-id="${id}"]`)).toBeFocused();
});

test('into an empty list incidents come by themselves', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const first = items[0];
  if (!first) throw new Error('the demo has incidents');
  // The news of one, so that the test does not wait for the demo to make one.
  await page.route('**/api/v1/stream*', async (route) => {
    const body = `id: 1\nevent: incident\ndata: ${JSON.stringify(first)}\n\n`;
    await route.fulfill({ status: 200, contentType: 'text/event-stream', body });
  });
  let asked = 0;
  await page.route('**/api/v1/incidents?*', async (route) => {
    asked += 1;
    await route.fulfill({
      json: { items: asked === 1 ? [] : items, next_cursor: null, total: items.length },
    });
  });
  await page.goto('/incidents');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
});

test('a new incident is announced and moves no row', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const first = items[0];
  if (!first) throw new Error('the demo has incidents');
  const heard = { ...first, id: 'f'.repeat(32), number: first.number + 1_000, version: 1, state: 'new' };
  let connections = 0;
  await page.route('**/api/v1/stream', async (route) => {
    connections += 1;
    // One event, then the connection ends: the page must say so and try again.
    const body = `id: 1\nevent: incident\ndata: ${JSON.stringify(heard)}\n\n`;
    await route.fulfill({ status: 200, contentType: 'text/event-stream', body });
  });
  await page.goto('/incidents');
  await expect(page.getByRole('button', { name: '1 new incident' })).toBeVisible();
  await expect(page.locator('a[data-row="0"]')).toHaveAttribute('data-id', first.id);
  await expect(page.getByTestId('connection')).toContainText('Connection lost');
  await expect.poll(() => connections).toBeGreaterThan(1);
  // Pressed in its middle it shows them: it must not move away between the press and its end.
  await page.route('**/api/v1/incidents?*', (route) =>
    route.fulfill({ json: { items: [heard, ...items], next_cursor: null, total: items.length + 1 } }),
  );
  await page.getByRole('button', { name: '1 new incident' }).click();
  await expect(page.locator('a[data-row="0"]')).toHaveAttribute('data-id', heard.id);
  await expect(page.getByRole('button', { name: '1 new incident' })).toBeHidden();
});

test('from the list to a verdict in two keys, assigned in one more; similar incidents show it', async ({
  page,
}) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find(
    (each) =>
      !each.verdict && !each.assignee && items.some(({ id, host }) => id !== each.id && host === each.host),
  );
  if (!incident) throw new Error('the demo has incidents that nobody has judged');
  await page.goto('/incidents');
  await page.locator(`a[data-id="${incident.id}"]`).focus();
  await page.keyboard.press('o');
  const verdicts = page.getByRole('group', { name: 'Verdict' });
  await expect(verdicts).toBeVisible();
  await page.keyboard.press('f');
  const pressed = verdicts.getByRole('button', { name: /^false positive/, pressed: true });
  await expect(pressed).toBeVisible();
  await page.keyboard.press('a');
  await expect(verdicts).toContainText('Assigned to admin');
  await page.getByRole('textbox', { name: 'Reason of the verdict' }).fill('a backup job');
  await page.keyboard.press('Enter');
  const history = page.getByRole('region', { name: 'History' });
  await expect(history).toContainText('a backup job');
  await page.reload();
  await expect(pressed).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Reason of the verdict' })).toHaveValue('a backup job');
  // An incident like it shows what was decided.
  let shown = false;
  for (const other of items.filter((each) => each.id !== incident.id && each.host === incident.host)) {
    const like = await (await page.request.get(`/api/v1/incidents/${other.id}/similar`)).json();
    if (!like.items.some(({ id }: { id: string }) => id === incident.id)) continue;
    await page.goto(`/incidents/${other.id}`);
    const similar = page.getByTestId('similar').filter({ hasText: `#${incident.number} ` });
    await expect(similar).toContainText('false positive');
    await expect(similar).toContainText('a backup job');
    shown = true;
    break;
  }
  expect(shown).toBe(true);
  await page.goto(`/incidents/${incident.id}`);
  await expect(pressed).toBeVisible();
  await page.keyboard.press('f');
  await expect(page.getByRole('textbox', { name: 'Reason of the verdict' })).toBeHidden();
});
