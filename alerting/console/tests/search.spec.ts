import { expect, type Page, test } from '@playwright/test';
import { watchTrouble } from './server';

test('search by text, open an event, keep it in the address', async ({ page }) => {
  const trouble = watchTrouble(page);
  // The demo's bastion is guessed at: its log says "Failed password" many times.
  const word = 'password';

  await page.goto('/search');
  const box = page.getByRole('combobox', { name: 'Text to look for' });
  await expect(box).toBeVisible();
  await page.keyboard.press('/');
  await expect(box).toBeFocused();
  await page.keyboard.type(word);
  await page.reload();
  await expect(box).toHaveValue(word);
  await page.getByRole('combobox', { name: 'Time range' }).selectOption('All time');
  const rows = page.getByRole('table', { name: 'Events' }).locator('a[data-row]');
  await expect(page).toHaveURL(new RegExp(`q=${word}`));
  await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
  await expect(rows.first()).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`q=${word}.*range=all|range=all.*q=${word}`));
  await expect(page.getByRole('slider', { name: /events over time/ })).toBeVisible();

  await rows.first().click();
  const panel = page.getByTestId('event-panel');
  await expect(panel.getByRole('table', { name: 'Fields' })).toBeVisible();
  await expect(panel.locator('mark').first()).toBeVisible();
  await expect(page).toHaveURL(/event=[0-9a-f]+/);
  await page.reload();
  await expect(panel.getByRole('table', { name: 'Fields' })).toBeVisible();
  await panel.getByRole('button', { name: 'Close' }).click();
  await expect(panel).toBeHidden();
  await page.goBack();
  await expect(panel).toBeVisible();
  expect(trouble).toEqual([]);
});

test('a search that finds nothing offers to look wider', async ({ page }) => {
  await page.goto('/search?range=15m&q=xyzzynothinghere');
  await expect(page.getByText('Nothing found')).toBeVisible();
  await page.getByRole('button', { name: /Look wider/ }).click();
  await expect(page).toHaveURL(/range=1h/);
});

test('a name that no event has is told, with the names that may have been meant', async ({ page }) => {
  await page.goto('/search?range=all&q=usr:root');
  const unknown = page.getByTestId('unknown-field');
  await expect(unknown).toContainText('No event in this time range has the field usr.');
  await unknown.getByRole('button', { name: 'user', exact: true }).click();
  await expect(page).toHaveURL(/q=user(%3A|:)root/);
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  // One that events have is not at fault; nor is there anything to filter by.
  await page.goto('/search?range=all&q=user:xyzzynothinghere');
  await expect(page.getByText('Nothing found')).toBeVisible();
  await expect(page.getByRole('complementary', { name: 'Fields' })).toContainText('Nothing was found');
  await expect(unknown).toHaveCount(0);
});

test('from and to are read in Indochina Time and checked', async ({ page }) => {
  await page.goto('/search?from=2026-01-01T00:00:30Z&to=2026-01-02T00:00:00Z');
  await expect(page.getByLabel('From (UTC+7)')).toHaveValue('01/01/2026 07:00:30');
  await page.getByLabel('To (UTC+7)').fill('31/02/2026');
  await expect(page.getByText('Write it like 22/11/2026 07:30:00')).toBeVisible();
  await page.getByLabel('To (UTC+7)').fill('01/01/2025');
  await expect(page.getByText('The end must lie after the beginning')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Search', exact: true })).toBeDisabled();
});

function searchLine(page: Page) {
  return page.getByRole('combobox', { name: 'Text to look for' });
}

function lineOf(page: Page): string {
  return new URL(page.url()).searchParams.get('q') ?? '';
}

async function settled(page: Page): Promise<void> {
  await expect(page.getByTestId('connection')).toContainText('Live');
  await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
  await expect(page.getByRole('table', { name: 'Events' }).locator('a[data-row]').first()).toBeVisible();
}

test('fields show their most frequent values; one is included, another excluded, a third looked at', async ({
  page,
}) => {
  const trouble = watchTrouble(page);
  await page.goto('/search?range=all');
  await settled(page);
  const fields = page.getByRole('complementary', { name: 'Fields' });
  const host = fields.getByRole('button', { name: /^host\s*\d/ });
  await host.click();
  await expect(page).toHaveURL(/field=host/);
  const values = fields.getByTestId('field-value');
  const bastion = values.filter({ hasText: 'bastion-01' });
  await expect(bastion).toContainText(/[\d.,]+/);
  const before = await (await page.request.get('/api/v1/events/histogram')).json();
  await bastion.getByRole('button', { name: 'Only events with host: bastion-01' }).click();
  await expect.poll(() => lineOf(page)).toBe('host:bastion-01');
  await expect(values).toHaveCount(1);
  // What stands in the list fits what the server counts.
  const after = await (await page.request.get('/api/v1/events/histogram?q=host:bastion-01')).json();
  expect(after.total).toBeGreaterThan(0);
  expect(after.total).toBeLessThan(before.total);
  await expect(page.getByRole('main').getByRole('status').filter({ hasText: 'events' })).toContainText(
    after.total.toLocaleString('en'),
  );
  // The address holds which field is open.
  await page.reload();
  await expect(values).toHaveCount(1);
  await bastion.getByRole('button', { name: 'No events with host: bastion-01' }).click();
  await expect.poll(() => lineOf(page)).toBe('not host:bastion-01');
  await expect(bastion).toHaveCount(0);
  await expect(values.first()).toBeVisible();
  await page.goBack();
  await expect.poll(() => lineOf(page)).toBe('host:bastion-01');
  await bastion.getByRole('link', { name: 'All about bastion-01' }).click();
  await expect(page).toHaveURL(/\/entity\?kind=host&value=bastion-01/);
  await expect(page.getByTestId('entity-incident').first()).toBeVisible();
  await page.goBack();
  await expect(bastion).toBeVisible();
  await page.keyboard.press('h');
  await expect(fields).toBeHidden();
  await page.keyboard.press('h');
  await expect(fields).toBeVisible();
  expect(trouble).toEqual([]);
});

test('by keyboard alone: name, value and operator are completed, and searched', async ({ page }) => {
  await page.goto('/search?range=all');
  await settled(page);
  await page.keyboard.press('/');
  const line = searchLine(page);
  await expect(line).toBeFocused();
  await page.keyboard.type('hos');
  const list = page.getByRole('listbox', { name: 'What can be written here' });
  await expect(list.getByRole('option', { name: /^host\s*\d/ })).toBeVisible();
  await expect(line).toHaveAttribute('aria-expanded', 'true');
  await page.keyboard.press('ArrowDown');
  await expect(list.getByRole('option', { selected: true })).toContainText('host');
  await page.keyboard.press('Enter');
  await expect(line).toHaveValue('host:');
  // The values come by themselves after the colon.
  await page.keyboard.type('bas');
  await expect(list.getByRole('option', { name: /bastion-01/ })).toBeVisible();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await expect(line).toHaveValue('host:bastion-01 ');
  await expect(list).toBeHidden();
  await page.keyboard.type('an');
  await expect(list.getByRole('option', { name: /^and/ })).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(line).toHaveValue('host:bastion-01 and ');
  await page.keyboard.type('password');
  // Escape closes the list and nothing else.
  await page.keyboard.press('Control+Space');
  await page.keyboard.press('Escape');
  await expect(list).toBeHidden();
  await page.keyboard.press('Enter');
  await expect.poll(() => lineOf(page)).toBe('host:bastion-01 and password');
  await settled(page);
  // Only the value and the word are marked, not the name of the field.
  await expect(page.locator('td mark').first()).toHaveText(/password|bastion-01/i);
});

test('a line that cannot be read is told at its place, in both languages', async ({ page }) => {
  await page.goto(`/search?range=all&q=${encodeURIComponent('đăng and (src_ip:10.0.0.0/33 or x)')}`);
  const fault = page.getByTestId('query-fault');
  await expect(fault).toContainText('This is no address');
  await expect(fault.locator('mark')).toHaveText('10.0.0.0/33');
  const line = searchLine(page);
  await expect(line).toHaveAttribute('aria-invalid', 'true');
  await expect(line).toHaveAccessibleDescription(/This is no address/);
  await fault.getByRole('button', { name: 'Go there' }).click();
  await expect(line).toBeFocused();
  const chosen = () =>
    line.evaluate((input: HTMLInputElement) =>
      input.value.slice(input.selectionStart ?? 0, input.selectionEnd ?? 0),
    );
  await expect.poll(chosen).toBe('10.0.0.0/33');
  await page.keyboard.type('10.0.0.0/8');
  await page.keyboard.press('Enter');
  await expect(fault).toBeHidden();
  await page.goto('/search?range=all&q=user:');
  await expect(fault.locator('mark')).toHaveText('user:');
  await page.getByRole('button', { name: 'Tiếng Việt' }).click();
  await expect(fault).toContainText('Sau dấu hai chấm phải có giá trị');
  await page.getByRole('button', { name: 'English' }).click();
});

test('an event shows whom it names, what narrows the search, and what stood around it', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.goto(`/search?range=all&q=${encodeURIComponent('host:bastion-01 and "failed password"')}`);
  await settled(page);
  await page.getByRole('table', { name: 'Events' }).locator('a[data-row]').nth(1).click();
  const panel = page.getByTestId('event-panel');
  await expect(panel.getByRole('list', { name: 'Named in it' })).toContainText('bastion-01');
  const around = panel.getByTestId('neighbours');
  await expect(around.locator('[aria-current="true"]')).toBeVisible();
  expect(await around.getByRole('listitem').count()).toBeGreaterThan(2);
  const here = new URL(page.url()).searchParams.get('event');
  const next = around.locator('[aria-current="true"] + li').getByRole('link');
  const time = await next.locator('time').getAttribute('datetime');
  await next.click();
  await expect(page).not.toHaveURL(new RegExp(`event=${here}`));
  await expect(panel.getByRole('heading', { level: 2 }).locator('time')).toHaveAttribute(
    'datetime',
    time ?? '',
  );
  await page.goBack();
  await expect(page).toHaveURL(new RegExp(`event=${here}`));
  await around.getByRole('link', { name: /All of this host/ }).click();
  await expect.poll(() => lineOf(page)).toBe('host:bastion-01');
  await expect(page).toHaveURL(/from=.*to=/);
  await expect(panel).toBeVisible();
  await page.goBack();
  await panel.getByRole('searchbox', { name: 'Filter the fields' }).fill('SourceIp');
  await panel.getByRole('button', { name: /^No events with SourceIp/ }).click();
  await expect.poll(() => lineOf(page)).toMatch(/^host:bastion-01 and "failed password" and not SourceIp:/);
  await expect(panel).toBeVisible();
  expect(trouble).toEqual([]);
});

test('the histogram counts all that was found; a bar or a stretch of it is looked at', async ({ page }) => {
  await page.goto('/search?range=all&q=host:bastion-01');
  await settled(page);
  const histogram = page.getByRole('slider', { name: /events over time/ });
  await histogram.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ArrowRight');
  await expect(histogram).toHaveAttribute('aria-valuenow', '2');
  const told = (await histogram.getAttribute('aria-valuetext')) ?? '';
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/from=.*to=/);
  const count = Number(told.split(': ').at(-1));
  await expect(page.getByRole('main').getByRole('status').filter({ hasText: 'events' })).toContainText(
    count > 100 ? `of ${count.toLocaleString('en')} events` : new RegExp(`^${count} events?`),
  );
  await page.goBack();
  await settled(page);
  const box = await histogram.boundingBox();
  if (!box) throw new Error('the histogram is on the page');
  await page.mouse.move(box.x + box.width * 0.3, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 30, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=.*to=/);
});
