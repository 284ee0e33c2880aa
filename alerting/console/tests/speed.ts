import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type Browser, expect, type Page, test } from '@playwright/test';
import { baseUrl, credentials } from './server';

// Started by deploy/browser-speed.sh: prints figures and asserts none. No part of the ordinary run.

const FOLDER = process.env.CITYWATCH_SPEED_DIR ?? '';
const LOADS = 20;

/** Prints the middle and the 95th percentile of milliseconds. */
function tell(what: string, millis: number[]): void {
  const sorted = millis.toSorted((one, other) => one - other);
  const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN);
  process.stdout.write(`${what}: median ${at(0.5)} ms, p95 ${at(0.95)} ms of ${sorted.length}\n`);
}

async function signedIn(browser: Browser): Promise<Page> {
  const context = await browser.newContext({
    baseURL: baseUrl(),
    viewport: { width: 1440, height: 900 },
    storageState: { cookies: [], origins: [] },
  });
  await context.addInitScript(() => localStorage.setItem('citywatch.language', 'en'));
  expect((await context.request.post('/api/v1/session', { data: credentials() })).status()).toBe(200);
  return context.newPage();
}

/** From the beginning of the navigation to the frame after the first row stands in the page. */
async function timeToRows(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen = new MutationObserver(() => {
      if (!document.querySelector('a[data-row="0"]')) return;
      seen.disconnect();
      requestAnimationFrame(() =>
        setTimeout(() => document.documentElement.setAttribute('data-painted', String(performance.now()))),
      );
    });
    seen.observe(document, { childList: true, subtree: true });
  });
}

async function painted(page: Page): Promise<number> {
  const html = page.locator('html[data-painted]');
  await expect(html).toBeAttached();
  return Number(await html.getAttribute('data-painted'));
}

test('a queue of 100,000 alerts is painted', async ({ browser }) => {
  test.setTimeout(1_800_000);
  const cold: number[] = [];
  for (let load = 0; load < LOADS; load += 1) {
    const page = await signedIn(browser);
    await timeToRows(page);
    await page.goto('/incidents?state=open');
    cold.push(await painted(page));
    if (load === 0) {
      const { total } = await (await page.request.get('/api/v1/incidents?state=open&limit=1')).json();
      process.stdout.write(`open incidents: ${total}\n`);
    }
    await page.context().close();
  }
  tell('queue painted, nothing in the cache', cold);
  const page = await signedIn(browser);
  await timeToRows(page);
  await page.goto('/incidents?state=open');
  const warm: number[] = [];
  for (let load = 0; load < LOADS; load += 1) {
    await page.reload();
    warm.push(await painted(page));
  }
  tell('queue painted, the page reloaded', warm);
  await page.context().close();
});

test('a committed alert is on screen', async ({ browser }) => {
  test.setTimeout(1_800_000);
  const page = await signedIn(browser);
  await page.goto('/incidents?state=open');
  await expect(page.getByTestId('connection')).toContainText('Live');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  // When the page told of so many new ones, in the clock of this machine.
  await page.evaluate(() => {
    const told: number[] = [];
    Object.assign(window, { told });
    new MutationObserver(() => {
      const shown = [...document.querySelectorAll('button')].find((each) =>
        / new incidents?$/.test(each.textContent ?? ''),
      );
      const count = Number.parseInt(shown?.textContent ?? '0', 10);
      requestAnimationFrame(() => {
        while (told.length < count) told.push(Date.now());
      });
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  writeFileSync(`${FOLDER}/watching`, '');
  await expect.poll(() => existsSync(`${FOLDER}/commits`), { timeout: 600_000 }).toBe(true);
  const commits = readFileSync(`${FOLDER}/commits`, 'utf8').trim().split('\n').map(Number);
  await expect
    .poll(() => page.evaluate(() => (window as unknown as { told: number[] }).told.length))
    .toBe(commits.length);
  const told = await page.evaluate(() => (window as unknown as { told: number[] }).told);
  tell(
    'from commit to screen',
    commits.map((committed, at) => (told[at] ?? Number.NaN) - committed),
  );
  await page.context().close();
});
