import { expect, test } from '@playwright/test';
import { watchTrouble } from './server';

test('search by text, open an event, keep it in the address', async ({ page }) => {
  const trouble = watchTrouble(page);
  // The demo's bastion is guessed at: its log says "Failed password" many times.
  const word = 'password';

  await page.goto('/search');
  const box = page.getByRole('searchbox', { name: 'Text to look for' });
  await expect(box).toBeVisible();
  await page.keyboard.press('/');
  await expect(box).toBeFocused();
  await page.keyboard.type(word);
  await page.getByRole('combobox', { name: 'Time range' }).selectOption('All time');
  const rows = page.getByRole('table', { name: 'Events' }).locator('a[data-row]');
  await expect(page).toHaveURL(new RegExp(`q=${word}`));
  await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
  await expect(rows.first()).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`q=${word}.*range=all|range=all.*q=${word}`));
  await expect(page.getByRole('img', { name: /events over time/ })).toBeVisible();

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

test('from and to are read in Indochina Time and checked', async ({ page }) => {
  await page.goto('/search?from=2026-01-01T00:00:30Z&to=2026-01-02T00:00:00Z');
  await expect(page.getByLabel('From (UTC+7)')).toHaveValue('2026-01-01T07:00:30');
  await page.getByLabel('To (UTC+7)').fill('2025-01-01T00:00:00');
  await expect(page.getByText('The end must lie after the beginning')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Search', exact: true })).toBeDisabled();
});
