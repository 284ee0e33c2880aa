import { expect, type Page, test } from '@playwright/test';

/** What the server's answers would say of a demonstration; this server is none. */
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

test('every page of a demonstration says that it is one', async ({ page }) => {
  await asDemonstration(page);
  for (const path of ['/incidents', '/search', '/rules', '/attack', '/units', '/status']) {
    await page.goto(path);
    await expect(page.getByRole('note').getByText('Demonstration data')).toBeVisible();
  }
  // In the other language, and in a narrow window.
  await page.evaluate(() => localStorage.setItem('citywatch.language', 'vi'));
  await page.setViewportSize({ width: 400, height: 800 });
  await page.reload();
  await expect(page.getByRole('note').getByText('Dữ liệu trình diễn')).toBeVisible();
});

test('so does the page to sign in', async ({ browser }) => {
  const context = await browser.newContext({ storageState: { cookies: [], origins: [] } });
  const page = await context.newPage();
  await asDemonstration(page);
  await page.goto('/');
  await expect(page.getByRole('note').getByText(/Dữ liệu trình diễn|Demonstration data/)).toBeVisible();
  await context.close();
});

test('what is real is not called a demonstration', async ({ page }) => {
  await page.goto('/incidents');
  await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
  await expect(page.getByText('Demonstration data')).toHaveCount(0);
});
