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
  const title = (await hit.locator('b').textContent()) ?? '';
  // `T1110.001 Brute Force: Password Guessing`
  expect(title).toMatch(/^T\d{4}(\.\d{3})? [A-Z]/);
  const [id = ''] = title.split(' ');
  await hit.click();
  const panel = page.getByTestId('technique-panel');
  await expect(panel.getByRole('heading', { level: 2 })).toHaveText(title);
  await expect(page).toHaveURL(new RegExp(`open=${id.replace('.', '\\.')}`));
  await page.reload();
  await expect(panel).toBeVisible();
  await panel.getByRole('link').first().click();
  await expect(page.getByTestId('rule')).toContainText(/detection:|correlation:/);
  await page.goBack();
  await page.keyboard.press('Escape');
  await expect(panel).toBeHidden();
  // Guessing passwords is credential access and nothing else, whatever its rules are about besides.
  const guessing = cells.filter({ hasText: /^T1110 Brute/ });
  await expect(guessing).toHaveCount(1);
  await expect(page.locator('section').filter({ has: guessing }).getByRole('heading')).toContainText(
    'Credential Access',
  );
  expect(trouble).toEqual([]);
});
