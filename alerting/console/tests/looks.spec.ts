import { expect, type Locator, type Page, test } from '@playwright/test';
import { importUnits, incidentOf, listIncidents } from './server';

// What one sees can be read and pressed: nothing covers anything, and people's words stand where the data have ids.

async function boxOf(part: Locator) {
  await expect(part).toBeVisible();
  const box = await part.boundingBox();
  if (!box) throw new Error('it is on the page');
  return box;
}

async function overlap(one: Locator, other: Locator): Promise<boolean> {
  const [a, b] = [await boxOf(one), await boxOf(other)];
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

async function asDemonstration(page: Page): Promise<void> {
  await page.route(
    (url) => url.pathname.startsWith('/api/v1/') && url.pathname !== '/api/v1/stream',
    async (route) => {
      const response = await route.fetch();
      await route.fulfill({
        response,
        headers: { ...response.headers(), 'citywatch-demonstration': 'true' },
      });
    },
  );
}

test('what tells of new incidents and of what was done covers no button', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const first = items[0];
  if (!first) throw new Error('the demo has incidents');
  const heard = { ...first, id: 'f'.repeat(32), number: first.number + 1_000, version: 1, state: 'new' };
  await page.route('**/api/v1/stream', async (route) => {
    const body = `id: 1\nevent: incident\ndata: ${JSON.stringify(heard)}\n\n`;
    await route.fulfill({ status: 200, contentType: 'text/event-stream', body });
  });
  await page.goto('/incidents');
  const pill = page.getByRole('button', { name: '1 new incident' });
  for (const name of ['Severity', 'State', 'Order']) {
    expect(await overlap(pill, page.getByRole('combobox', { name }))).toBe(false);
  }
  expect(await overlap(pill, page.locator('a[data-row="0"]'))).toBe(false);
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.keyboard.press('b');
  const undo = page.getByRole('button', { name: 'Undo' });
  // It slides in, and the bar may take a second line: what counts is where both come to stand.
  const done = undo.locator('xpath=ancestor::*[@role="alert"]');
  await expect.poll(() => overlap(done, page.getByTestId('bulk-bar'))).toBe(false);
  await undo.click();
  await expect(page.getByText('Taken back')).toBeVisible();
  await page.keyboard.press('Escape');
});

test('in a narrow window the head and the ways to the pages are whole', async ({ page }) => {
  await asDemonstration(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto('/administration/audit');
  const note = page.getByRole('note').getByText('Demonstration data');
  for (const other of [page.getByTestId('connection'), page.getByRole('button', { name: 'Tiếng Việt' })]) {
    expect(await overlap(note, other)).toBe(false);
  }
  const ways = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  for (const way of await ways.all()) {
    const { x, width } = await boxOf(way);
    expect(x >= 0 && x + width <= 390).toBe(true);
  }
  await expect(
    page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: 'Audit log' }),
  ).toBeInViewport();
});

test('only the content scrolls, however long it is', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  for (const path of [`/incidents/${items[0]?.id}`, '/rules', '/status']) {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    const beyond = () =>
      page.evaluate(() => document.documentElement.scrollHeight - document.documentElement.clientHeight);
    expect(await beyond()).toBe(0);
  }
});

test('units are called by their names, and by their ids where they have none', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items[0];
  if (!incident) throw new Error('the demo has incidents');
  const unit = { id: incident.unit, name: 'Phường Của Bài Thử', parent: '' };
  await page.route('**/api/v1/units', (route) => route.fulfill({ json: { items: [unit] } }));
  await page.goto('/incidents');
  const row = page.getByRole('row').filter({ has: page.locator(`a[data-id="${incident.id}"]`) });
  await expect(row).toContainText('Phường Của Bài Thử');
  await page.goto(`/incidents/${incident.id}`);
  await expect(page.getByTestId('story')).toContainText('(Phường Của Bài Thử)');
  await page.route('**/api/v1/units', (route) => route.fulfill({ json: { items: [] } }));
  await page.reload();
  await expect(page.getByTestId('story')).toContainText(`(${incident.unit})`);
});

test('the story tells of how many rules, the timeline tells what repeats once', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find(({ event_count }) => event_count > 3);
  if (!incident) throw new Error('the demo has incidents of several events');
  const detail = await incidentOf(page.request, incident.id);
  const [event] = detail.events;
  if (!event) throw new Error('it has events');
  const events = [0, 1, 2, 3, 4].map((at) => ({
    ...event,
    id: String(at).repeat(32),
    event_time: `2026-01-01T00:00:0${at}Z`,
    host: at === 4 ? 'elsewhere' : event.host,
  }));
  const told = {
    ...detail,
    events,
    event_count: 5,
    rule_count: 7,
    tactics: ['initial-access', 'execution'],
  };
  await page.route(`**/api/v1/incidents/${incident.id}`, (route) => route.fulfill({ json: told }));
  await page.goto(`/incidents/${incident.id}`);
  await expect(page.getByTestId('story')).toContainText('matched 7 rules, the most severe of them');
  await expect(page.getByTestId('tactics').getByRole('listitem')).toHaveText(['Initial Access', 'Execution']);
  const shown = page.getByTestId('timeline-event');
  await expect(shown).toHaveCount(2);
  await page.getByRole('button', { name: '3 more like this' }).click();
  await expect(shown).toHaveCount(5);
  // An event that the address names is shown, wherever it stands.
  await page.goto(`/incidents/${incident.id}?event=${'2'.repeat(32)}`);
  await expect(page.locator('[data-testid="timeline-event"][data-open]')).toBeInViewport();
});

test('? tells the keys of a row before there is one, and which they are', async ({ page }) => {
  await page.goto('/incidents');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keys of this page' });
  await expect(help.locator('[data-waits]').filter({ hasText: 'Assign to me' })).toBeVisible();
  await expect(help).toContainText('The paler ones are for a row');
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('?');
  await expect(help.locator('[data-waits]')).toHaveCount(0);
  await expect(help).toContainText('Assign to me');
});

test('who has a mouse closes the panels of units and techniques, too', async ({ page }) => {
  await page.goto('/attack');
  await page.getByTestId('technique').first().click();
  const technique = page.getByTestId('technique-panel');
  await technique.getByRole('button', { name: 'Close' }).click();
  await expect(technique).toBeHidden();
  const { items: units } = await (await page.request.get('/api/v1/units')).json();
  if (units.length === 0) await importUnits(page.request);
  await page.goto('/units');
  await page.getByTestId('unit').first().getByRole('button').click();
  const unit = page.getByTestId('unit-panel');
  await unit.getByRole('button', { name: 'Close' }).click();
  await expect(unit).toBeHidden();
  await expect(page).not.toHaveURL(/open=/);
});

test('rows of the queue keep their place, whatever comes into them', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const [first, second] = items;
  if (!first || !second) throw new Error('the demo has incidents');
  const soon = new Date(Date.now() + 119 * 60_000).toISOString();
  const short = {
    ...first,
    title: 'Short',
    title_vi: 'Short',
    host: 'a',
    state: 'new',
    verdict: null,
    assignee: null,
    clocks: [],
  };
  const long = {
    ...short,
    title: 'A title of many words '.repeat(20),
    host: 'a-host-with-a-name-that-has-no-end.of-the-city.example.vn',
    state: 'acknowledged',
    verdict: 'benign_true_positive',
    assignee: 'somebody.with-a-very-long-name.of-the-night-shift',
    clocks: [{ name: 'report:of a name that goes on and on', due_at: soon, met_at: null, reference: null }],
  };
  let shown: object = short;
  await page.route('**/api/v1/incidents?*', (route) =>
    route.fulfill({ json: { items: [shown, second], next_cursor: null, total: 2 } }),
  );
  const boxes = async () => {
    await page.goto('/incidents');
    await expect(page.locator('a[data-row="1"]')).toBeVisible();
    return page.evaluate(() =>
      [...document.querySelectorAll('tr[data-index] td')].map((cell) => {
        const { x, y, width, height } = cell.getBoundingClientRect();
        return [x, y, width, height].map(Math.round);
      }),
    );
  };
  for (const width of [1920, 1440, 1280, 1200, 1024, 800, 390]) {
    await page.setViewportSize({ width, height: 900 });
    shown = short;
    const before = await boxes();
    shown = long;
    expect(await boxes(), `${width}`).toEqual(before);
    const title = await boxOf(page.locator('td[data-column="title"]').first());
    expect(title.width, `${width}`).toBeGreaterThan(170);
  }
});
