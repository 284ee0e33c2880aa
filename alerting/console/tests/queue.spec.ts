import { readFileSync } from 'node:fs';
import { expect, type Page, test } from '@playwright/test';
import { changeIncident, changeState, incidentOf, listIncidents, watchTrouble } from './server';

function row(page: Page, id: string) {
  return page.locator(`a[data-id="${id}"]`);
}

test('an incident opens beside the list, which stays where it is; the address keeps it', async ({ page }) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  const [first, second] = items;
  if (!first || !second) throw new Error('the demo has incidents');
  await page.goto('/incidents');
  await row(page, first.id).click();
  const panel = page.getByTestId('incident-panel');
  await expect(panel.getByRole('heading', { level: 2 }).first()).toContainText(first.title);
  await expect(panel.locator('mark').first()).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`panel=${first.id}`));
  await page.keyboard.press('j');
  await expect(panel.getByRole('heading', { level: 2 }).first()).toContainText(`#${second.number}`);
  await page.reload();
  await expect(panel.getByRole('heading', { level: 2 }).first()).toContainText(`#${second.number}`);
  await expect(row(page, second.id)).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  await expect(row(page, second.id)).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(panel).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/incidents/${second.id}`));
  await page.goBack();
  await expect(panel.getByRole('heading', { level: 2 }).first()).toContainText(`#${second.number}`);
  expect(trouble).toEqual([]);
});

test('a verdict for all that is ticked, and back again', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const chosen = items.filter(({ verdict, state }) => !verdict && state === 'new').slice(0, 3);
  expect(chosen.length).toBe(3);
  await page.goto('/incidents');
  for (const { number } of chosen) await page.getByRole('checkbox', { name: `Tick #${number}` }).click();
  await page.reload();
  await expect(page.getByTestId('bulk-bar')).toContainText('3 ticked');
  await page.keyboard.press('b');
  await expect(page.getByText('Verdict: benign true positive')).toBeVisible();
  await expect(page.getByText(/^3 incidents/)).toBeVisible();
  for (const { id } of chosen) {
    expect((await incidentOf(page.request, id)).verdict).toBe('benign_true_positive');
  }
  await page
    .getByTestId('bulk-bar')
    .getByRole('button', { name: /^Acknowledge/ })
    .click();
  await expect
    .poll(async () => (await incidentOf(page.request, chosen[0]?.id ?? '')).state)
    .toBe('acknowledged');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByText('Taken back')).toBeVisible();
  for (const { id } of chosen) {
    const now = await incidentOf(page.request, id);
    expect([now.state, now.verdict]).toEqual(['new', 'benign_true_positive']);
  }
  await page.keyboard.press('b');
  await expect.poll(async () => (await incidentOf(page.request, chosen[0]?.id ?? '')).verdict).toBe(null);
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('bulk-bar')).toBeHidden();
});

test('filters that nothing fits leave no blank place', async ({ page }) => {
  await page.goto('/incidents?host=no-such-host');
  await expect(page.getByRole('complementary', { name: 'Filters' })).toContainText('No incident fits');
  await expect(page.getByRole('button', { name: 'Without filters' })).toBeVisible();
});

test('closing many asks once for the verdict that some lack; those that have one keep it', async ({
  page,
}) => {
  const { items } = await listIncidents(page.request);
  const chosen = items.filter(({ verdict, state }) => !verdict && state === 'new').slice(0, 3);
  const [judged] = chosen;
  if (!judged || chosen.length < 3) throw new Error('the demo has new incidents');
  for (const { id } of chosen) await changeState(page.request, id, 'resolved');
  await changeIncident(page.request, judged.id, { verdict: 'true_positive' });
  const states = () =>
    Promise.all(
      chosen.map(async ({ id }) => {
        const { state, verdict } = await incidentOf(page.request, id);
        return `${state} ${verdict}`;
      }),
    );
  await page.goto('/incidents');
  for (const { number } of chosen) await page.getByRole('checkbox', { name: `Tick #${number}` }).click();
  const bar = page.getByTestId('bulk-bar');
  await page.keyboard.press('c');
  await expect(bar).toContainText('What did the 2 without a verdict turn out to be?');
  await page.keyboard.press('Escape');
  await expect(bar).not.toContainText('What did the 2');
  await expect(bar).toContainText('3 ticked');
  await page.keyboard.press('c');
  await page.keyboard.press('f');
  await expect
    .poll(states)
    .toEqual(['closed true_positive', 'closed false_positive', 'closed false_positive']);
  await page.keyboard.press('z');
  await expect.poll(states).toEqual(['resolved true_positive', 'resolved null', 'resolved null']);
  await page.keyboard.press('Escape');
  await expect(bar).toBeHidden();
  // Of the row under the keys it is asked without a bar, too; who goes on has left the question.
  const [, second, third] = chosen;
  if (!second || !third) throw new Error('there are three');
  await row(page, second.id).focus();
  await page.keyboard.press('c');
  const question = page.getByTestId('close-question');
  await expect(question).toBeVisible();
  await page.keyboard.press('k');
  await page.keyboard.press('j');
  await expect(question).toBeHidden();
  await page.keyboard.press('c');
  await page.keyboard.press('b');
  await expect
    .poll(states)
    .toEqual(['resolved true_positive', 'closed benign_true_positive', 'resolved null']);
  // And in the panel, with the mouse.
  await row(page, third.id).click();
  const panel = page.getByTestId('incident-panel');
  await expect(panel.getByRole('heading', { level: 2 }).first()).toContainText(`#${third.number}`);
  await panel.getByRole('button', { name: /^Close C/ }).click();
  await panel.getByRole('button', { name: /^true positive/ }).click();
  await expect.poll(async () => (await states())[2]).toBe('closed true_positive');
  for (const { id } of chosen) await changeIncident(page.request, id, { state: 'new', verdict: null });
});

test('what somebody else has changed meanwhile is listed and not overwritten', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const [mine, theirs] = items.filter(({ state }) => state === 'new').slice(0, 2);
  if (!mine || !theirs) throw new Error('the demo has new incidents');
  await page.goto('/incidents');
  await expect(row(page, mine.id)).toBeVisible();
  let faster = false;
  await page.route('**/api/v1/incidents/bulk', async (route) => {
    if (!faster) await changeState(page.request, theirs.id, 'in_progress');
    faster = true;
    await route.continue();
  });
  for (const { number } of [mine, theirs])
    await page.getByRole('checkbox', { name: `Tick #${number}` }).click();
  await page.keyboard.press('e');
  const failures = page.getByTestId('bulk-failures');
  await expect(failures).toHaveText(`#${theirs.number}: somebody else has changed it meanwhile`);
  expect((await incidentOf(page.request, mine.id)).state).toBe('acknowledged');
  expect((await incidentOf(page.request, theirs.id)).state).toBe('in_progress');
  await page.keyboard.press('z');
  await expect.poll(async () => (await incidentOf(page.request, mine.id)).state).toBe('new');
  expect((await incidentOf(page.request, theirs.id)).state).toBe('in_progress');
  await page.keyboard.press('Escape');
});

test('an undo that comes too late is headed as what it is', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const mine = items.filter(({ state }) => state === 'new')[2];
  if (!mine) throw new Error('the demo has new incidents');
  await page.goto('/incidents');
  await page.getByRole('checkbox', { name: `Tick #${mine.number}`, exact: true }).click();
  await page.keyboard.press('e');
  await expect(page.getByText('Acknowledged', { exact: true })).toBeVisible();
  await changeState(page.request, mine.id, 'in_progress');
  await page.keyboard.press('z');
  await expect(page.getByText('Nothing was taken back')).toBeVisible();
  await expect(page.getByTestId('bulk-failures')).toContainText(`#${mine.number}`);
  await expect(page.getByText('0 incidents', { exact: true })).toHaveCount(0);
  await page.keyboard.press('Escape');
});

test('a saved file holds the list, and no formula', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const [first] = items;
  if (!first) throw new Error('the demo has incidents');
  const hostile = { ...first, title: '=cmd|"/C calc"!A1', host: '@SUM(1)' };
  await page.route('**/api/v1/incidents?*', (route) =>
    route.fulfill({ json: { items: [hostile], next_cursor: null, total: 1 } }),
  );
  await page.goto('/incidents');
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save as CSV' }).click();
  const text = readFileSync((await (await saved).path()) ?? '', 'utf8');
  expect(text.split('\r\n').length).toBe(3);
  expect(text).toContain(`"'=cmd|""/C calc""!A1"`);
  expect(text).toContain(`"'@SUM(1)"`);
});

test('the list is asked for, once, while the code of the page is on its way', async ({ page }) => {
  const asked: string[] = [];
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (pathname === '/api/v1/session' || pathname === '/api/v1/incidents') asked.push(pathname + search);
  });
  const list = '/api/v1/incidents?limit=50&severity=high&state=open';
  const early = page.waitForRequest((request) => request.url().endsWith(list));
  await page.route(/\/assets\/index-.*\.js$/, async (route) => {
    await early;
    await route.continue();
  });
  await page.goto('/incidents?state=open&severity=high');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  expect(asked.filter((each) => each === list)).toEqual([list]);
  expect(asked.filter((each) => each === '/api/v1/session')).toEqual(['/api/v1/session']);
});

test('the rows do not wait for the counts beside them', async ({ page }) => {
  let counted = 0;
  page.on('request', (request) => {
    if (new URL(request.url()).pathname === '/api/v1/incidents/facets') counted += 1;
  });
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(/\/api\/v1\/incidents\?limit=50&state=new$/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto('/incidents?state=new');
  await expect(page.getByRole('heading', { name: 'Incidents' })).toBeVisible();
  expect(counted).toBe(0);
  const asked = page.waitForRequest((request) => request.url().includes('/api/v1/incidents/facets'));
  release();
  // Days begin at midnight of the clock that the console shows, which is seven hours ahead.
  expect(new URL((await asked).url()).searchParams.get('utc_offset_minutes')).toBe('420');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  await expect(page.getByTestId('facet-severity')).toBeVisible();
});

test('the list opens with what waits for somebody, unless the address says otherwise', async ({ page }) => {
  await page.goto('/');
  await expect(page).toHaveURL(/\/incidents\?state=open$/);
  await expect(page.getByRole('combobox', { name: 'State' })).toHaveValue('open');
  await page.goto('/incidents');
  await expect(page.getByRole('combobox', { name: 'State' })).toHaveValue('all');
  const way = page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Incidents' });
  await expect(way).toHaveAttribute('data-active', 'true');
  await page.goto('/rules');
  await way.click();
  await expect(page).toHaveURL(/\/incidents\?state=open$/);
});
