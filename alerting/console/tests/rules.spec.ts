import { expect, test } from '@playwright/test';
import { watchTrouble } from './server';

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
