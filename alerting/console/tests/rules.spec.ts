import { expect, test } from '@playwright/test';
import { watchTrouble } from './server';

test('a rule shows its 30 days as soon as it shows anything', async ({ page }) => {
  const { items } = await (await page.request.get('/api/v1/rules')).json();
  const rule = items.find(({ alerts }: { alerts: number }) => alerts > 0);
  // The rule itself comes late, what draws its days does not wait for it.
  await page.route(`**/api/v1/rules/${rule.id}`, async (route) => {
    await expect.poll(() => asked.some((url) => /Histogram/.test(url))).toBe(true);
    await route.continue();
  });
  const asked: string[] = [];
  page.on('requestfinished', (request) => asked.push(request.url()));
  await page.goto(`/rules/${rule.id}`);
  const days = page.getByRole('img', { name: 'Alerts of the last 30 days' });
  await expect(days.locator('canvas')).toBeVisible();
});

test('rules are found, ordered and shown with their text; all of it in the address', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.goto('/incidents');
  await page.getByRole('link', { name: 'Rules' }).click();
  const rows = page.getByTestId('rule-row');
  await expect(rows.first()).toBeVisible();
  const all = await rows.count();
  expect(all).toBeGreaterThanOrEqual(5);
  const title = (await rows.first().getByRole('button').textContent()) ?? '';
  await page.getByRole('searchbox', { name: 'Find a rule' }).fill(title);
  await expect.poll(() => rows.count()).toBeLessThan(all);
  await expect(page).toHaveURL(/q=/);
  await rows.first().getByRole('button').click();
  await expect(page).toHaveURL(/open=/);
  await expect(page.getByTestId('rule')).toContainText(/detection:|correlation:/);
  await page.getByRole('combobox', { name: 'Order' }).selectOption('Latest');
  await expect(page).toHaveURL(/order=last/);
  await page.reload();
  await expect(page.getByTestId('rule')).toBeVisible();
  await expect(page.getByRole('searchbox', { name: 'Find a rule' })).toHaveValue(title);
  expect(trouble).toEqual([]);
});
