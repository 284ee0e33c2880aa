import { expect, test } from '@playwright/test';
import { watchTrouble } from './server';

test('the matrix shows what the rules look for and what they found', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.goto('/incidents');
  await page.getByRole('link', { name: 'ATT&CK' }).click();
  const cells = page.getByTestId('technique');
  await expect(cells.first()).toBeVisible();
  expect(await cells.count()).toBeGreaterThanOrEqual(10);
  await expect(page.getByRole('heading', { level: 2, name: /^Execution/ })).toBeVisible();
  const hit = page.locator('[data-testid="technique"]:not([data-heat="0"])').first();
  const id = (await hit.locator('b').textContent()) ?? '';
  await hit.click();
  const panel = page.getByTestId('technique-panel');
  await expect(panel.getByRole('heading', { level: 2 })).toHaveText(id);
  await expect(page).toHaveURL(new RegExp(`open=${id.replace('.', '\\.')}`));
  await page.reload();
  await expect(panel).toBeVisible();
  await panel.getByRole('link').first().click();
  await expect(page.getByTestId('rule')).toContainText(/detection:|correlation:/);
  await page.goBack();
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  expect(trouble).toEqual([]);
});
