import { expect, type Page, test } from '@playwright/test';
import { watchTrouble } from './server';

interface View {
  id: string;
  name: string;
  screen: string;
  query: string;
}

async function viewsOf(page: Page): Promise<View[]> {
  return (await (await page.request.get('/api/v1/views')).json()).items;
}

/** Other tests and other runs keep views, too. */
test.beforeEach(async ({ page }) => {
  const { csrf } = await (await page.request.get('/api/v1/session')).json();
  for (const { id } of await viewsOf(page)) {
    await page.request.delete(`/api/v1/views/${id}`, { headers: { 'X-CSRF-Token': csrf } });
  }
});

async function choose(page: Page, item: string): Promise<void> {
  await page.getByRole('button', { name: /^View:/ }).click();
  await page.getByRole('menuitem', { name: item, exact: true }).click();
}

test('filters have an address, and a view of my own is kept by the server, renamed, shared and deleted', async ({
  page,
  browser,
}) => {
  const trouble = watchTrouble(page);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto('/incidents');
  await page.getByRole('combobox', { name: 'Severity' }).selectOption('high');
  await expect(page).toHaveURL(/severity=high/);
  await choose(page, 'Keep this view…');
  await page.getByRole('textbox', { name: 'Name' }).fill('My night shift');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'View: My night shift' })).toBeVisible();
  expect(await viewsOf(page)).toMatchObject([
    { name: 'My night shift', screen: 'incidents', query: 'severity=high' },
  ]);
  await choose(page, 'Mine');
  await expect(page).toHaveURL(/assignee=admin/);
  // Another browser of the same person has it, too.
  const elsewhere = await (
    await browser.newContext({ storageState: await page.context().storageState() })
  ).newPage();
  await elsewhere.goto('/incidents');
  await choose(elsewhere, 'My night shift');
  await expect(elsewhere).toHaveURL(/severity=high/);
  await choose(elsewhere, 'Rename this view…');
  const name = elsewhere.getByRole('textbox', { name: 'Name' });
  await expect(name).toHaveValue('My night shift');
  await name.fill('Ca đêm');
  await elsewhere.keyboard.press('Enter');
  await expect(elsewhere.getByRole('button', { name: 'View: Ca đêm' })).toBeVisible();
  await elsewhere.context().close();
  await page.reload();
  await choose(page, 'Ca đêm');
  await choose(page, 'Copy a link to it');
  await expect(page.getByText('The link is copied')).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  expect(new URL(link).pathname + new URL(link).search).toBe('/incidents?severity=high');
  await choose(page, 'Delete this view');
  await expect(page.getByText('The view Ca đêm is deleted')).toBeVisible();
  await expect.poll(async () => (await viewsOf(page)).length).toBe(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByRole('button', { name: 'View: Ca đêm' })).toBeVisible();
  await page.getByRole('button', { name: 'Without the filter high' }).click();
  await expect(page).toHaveURL(/\/incidents$/);
  expect(trouble).toEqual([]);
});

test('a search is kept under a name by keyboard alone; the same name replaces it when told to', async ({
  page,
}) => {
  await page.goto('/search?range=7d&q=password');
  const menu = page.getByRole('button', { name: 'View: own choice' });
  await menu.focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('menuitem', { name: 'Keep this view…' })).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('menuitem', { name: 'Keep this view…' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('textbox', { name: 'Name' })).toBeFocused();
  await page.keyboard.type('Guessing');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'View: Guessing' })).toBeVisible();
  expect(await viewsOf(page)).toMatchObject([
    { name: 'Guessing', screen: 'events', query: 'q=password&range=7d' },
  ]);
  await page.goto('/search?range=30d&q=password');
  await choose(page, 'Keep this view…');
  await page.getByRole('textbox', { name: 'Name' }).fill('Guessing');
  await expect(page.getByText('A view of this name is there: it will be replaced')).toBeVisible();
  await page.getByRole('button', { name: 'Replace' }).click();
  await expect(page.getByRole('button', { name: 'View: Guessing' })).toBeVisible();
  expect((await viewsOf(page)).map(({ query }) => query)).toEqual(['q=password&range=30d']);
  // A view of the search is none of the incidents.
  await page.goto('/incidents');
  await page.getByRole('button', { name: /^View:/ }).click();
  await expect(page.getByRole('menuitem', { name: 'Mine' })).toBeVisible();
  await expect(page.getByRole('menuitem', { name: 'Guessing' })).toHaveCount(0);
});

test('what a browser kept before is given to the server once', async ({ page }) => {
  await page.goto('/incidents');
  await page.evaluate(() =>
    localStorage.setItem(
      'citywatch.views.admin',
      JSON.stringify([{ name: 'Of old', filter: { state: 'new', host: 'bastion-01' } }]),
    ),
  );
  await page.reload();
  await choose(page, 'Of old');
  await expect(page).toHaveURL(/host=bastion-01&state=new/);
  expect(await page.evaluate(() => localStorage.getItem('citywatch.views.admin'))).toBeNull();
  expect((await viewsOf(page)).map(({ query }) => query)).toEqual(['host=bastion-01&state=new']);
});

test('a view that cannot be kept says why and keeps what was typed', async ({ page }) => {
  await page.goto('/search?q=password');
  await page.route('**/api/v1/views', (route) =>
    route.request().method() === 'POST'
      ? route.fulfill({
          status: 409,
          contentType: 'application/problem+json',
          json: { title: 'Conflict', status: 409, detail: 'You have too many views.' },
        })
      : route.continue(),
  );
  await choose(page, 'Keep this view…');
  const name = page.getByRole('textbox', { name: 'Name' });
  await name.fill('One too many');
  await page.keyboard.press('Enter');
  await expect(page.getByText('You have too many views.')).toBeVisible();
  await expect(name).toHaveValue('One too many');
});
