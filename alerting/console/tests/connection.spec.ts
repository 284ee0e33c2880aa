import { writeFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { changeState, incidentOf, listIncidents, watchTrouble } from './server';

// Lost answers, lost connections, servers that are started anew and new versions lose nothing and do nothing twice.

test('a comment whose answer is lost is sent again and made once', async ({ page }) => {
  const incident = (await listIncidents(page.request)).items[0];
  await page.goto(`/incidents/${incident?.id}`);
  const keys: (string | undefined)[] = [];
  await page.route(/\/comments$/, async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    // The server does it; whoever asked never hears of it.
    const response = await route.fetch();
    if (keys.length === 1) await route.abort('connectionreset');
    else await route.fulfill({ response });
  });
  const words = `seen once ${Date.now()}`;
  const box = page.getByRole('textbox', { name: 'Comment' });
  await box.fill(words);
  await page.getByRole('button', { name: /^Comment/ }).click();
  await expect(page.getByTestId('comment').filter({ hasText: words })).toHaveCount(1);
  await expect(box).toHaveValue('');
  expect(keys).toHaveLength(2);
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[1]).toBe(keys[0]);
  const { history } = await incidentOf(page.request, incident?.id ?? '');
  expect(history.filter(({ what }) => what === words)).toHaveLength(1);
});

test('a comment that got no answer keeps its key over a reload', async ({ page }) => {
  const incident = (await listIncidents(page.request)).items[0];
  await page.goto(`/incidents/${incident?.id}`);
  const keys: (string | undefined)[] = [];
  let isCut = true;
  await page.route(/\/comments$/, async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    const response = await route.fetch();
    if (isCut) await route.abort('connectionreset');
    else await route.fulfill({ response });
  });
  const words = `sent by hand again ${Date.now()}`;
  const box = page.getByRole('textbox', { name: 'Comment' });
  await box.fill(words);
  await page.getByRole('button', { name: /^Comment/ }).click();
  await expect.poll(() => keys.length).toBeGreaterThan(0);
  await page.reload();
  await expect(box).toHaveValue(words);
  isCut = false;
  await page.getByRole('button', { name: /^Comment/ }).click();
  await expect(box).toHaveValue('');
  await expect(page.getByTestId('comment').filter({ hasText: words })).toHaveCount(1);
  expect(new Set(keys).size).toBe(1);
});

test('a page that is first opened without a connection says so, and comes by itself', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.goto('/incidents');
  await expect(page.getByTestId('connection')).toContainText('Live');
  await page.context().setOffline(true);
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Rules' }).click();
  await expect(page.getByTestId('waiting-parts')).toContainText('The connection to the server is lost');
  await expect(page.getByText('Something in this page failed')).toHaveCount(0);
  // The rest of the page works on.
  await expect(page.getByRole('link', { name: 'Citywatch' })).toBeVisible();
  await page.context().setOffline(false);
  await expect(page.getByRole('heading', { name: 'Rules', level: 1 })).toBeVisible();
  await expect(page).toHaveURL(/\/rules$/);
  await expect(page.getByTestId('waiting-parts')).toBeEmpty();
  const unstyled = await page.evaluate(
    () =>
      [...document.querySelectorAll('link[rel="stylesheet"]')].filter(
        (link) => !(link as HTMLLinkElement).sheet,
      ).length,
  );
  expect(unstyled).toBe(0);
  expect(trouble).toEqual([]);
});

test('a network that goes is told at once, and a save that cannot be sent, too; what was typed stays', async ({
  page,
}) => {
  const incident = (await listIncidents(page.request)).items[0];
  await page.goto(`/incidents/${incident?.id}`);
  await expect(page.getByTestId('connection')).toContainText('Live');
  const box = page.getByRole('textbox', { name: 'Comment' });
  const words = `typed without a network ${Date.now()}`;
  await box.fill(words);
  await page.context().setOffline(true);
  await expect(page.getByTestId('connection')).toContainText('Connection lost', { timeout: 8_000 });
  await page.getByRole('button', { name: /^Comment/ }).click();
  await expect(page.getByText('The server does not answer. What you entered is kept')).toBeVisible({
    timeout: 8_000,
  });
  await expect(box).toHaveValue(words);
  await page.context().setOffline(false);
  await expect(page.getByTestId('connection')).toContainText('Live', { timeout: 8_000 });
  await page.getByRole('button', { name: /^Comment/ }).click();
  await expect(box).toHaveValue('');
  await expect(page.getByTestId('comment').filter({ hasText: words })).toHaveCount(1);
});

test('a dialog that is first opened without a connection comes by itself', async ({ page }) => {
  await page.goto('/incidents');
  await expect(page.getByTestId('connection')).toContainText('Live');
  await page.context().setOffline(true);
  await page.keyboard.press('?');
  await expect(page.getByTestId('waiting-parts')).toContainText('nothing is lost');
  await expect(page.getByRole('main')).toBeVisible();
  await page.context().setOffline(false);
  await expect(page.getByRole('dialog')).toBeVisible();
});

test('after a new version the page is loaded anew, once, and says so; drafts stay', async ({ page }) => {
  const incident = (await listIncidents(page.request)).items[0];
  await page.goto(`/incidents/${incident?.id}`);
  const box = page.getByRole('textbox', { name: 'Comment' });
  await box.fill('typed before the new version');
  // The old names of the parts are gone until the page asks for the new ones.
  let loads = 0;
  page.on('load', () => {
    loads += 1;
  });
  await page.route(/\/assets\/RulesPage-.*\.js$/, (route) =>
    loads === 0 ? route.fulfill({ status: 404 }) : route.continue(),
  );
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Rules' }).click();
  await expect(page.getByText('A new version of the console was installed')).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Rules', level: 1 })).toBeVisible();
  expect(loads).toBe(1);
  await page.goto(`/incidents/${incident?.id}`);
  await expect(box).toHaveValue('typed before the new version');
  await box.fill('');

  // A part that stays away is told, and is no reason to load the page again and again.
  await page.route(/\/assets\/AttackPage-.*\.js$/, (route) => route.fulfill({ status: 404 }));
  loads = 0;
  await page
    .getByRole('navigation', { name: 'Pages' })
    .getByRole('link', { name: /ATT&CK/ })
    .click();
  await expect(page.getByText('Something in this page failed')).toBeVisible();
  expect(loads).toBe(0);
});

test('a server that is started anew loses nothing: draft, panel and stream go on', async ({ page }) => {
  const restart = process.env.CITYWATCH_RESTART;
  test.skip(!restart, 'only deploy/browser-test.sh can start the server anew');
  const incident = (await listIncidents(page.request)).items[0];
  if (!incident) throw new Error('the demo has incidents');
  const queue = await page.context().newPage();
  await queue.goto(`/incidents?panel=${incident.id}`);
  const panel = queue.getByTestId('incident-panel');
  await expect(panel).toContainText(`#${incident.number}`);
  await page.goto(`/incidents/${incident.id}`);
  const box = page.getByRole('textbox', { name: 'Comment' });
  await box.fill('begun before');
  for (const each of [page, queue]) await expect(each.getByTestId('connection')).toContainText('Live');

  writeFileSync(restart as string, '');
  for (const each of [page, queue]) {
    await expect(each.getByTestId('connection')).toContainText('Connection lost');
  }
  await expect(box).toHaveValue('begun before');
  const words = `sent while the server was away ${Date.now()}`;
  await box.fill(words);
  // It waits for the server and is there once.
  await page.getByRole('button', { name: /^Comment/ }).click();
  for (const each of [page, queue]) await expect(each.getByTestId('connection')).toContainText('Live');
  await expect(page.getByTestId('comment').filter({ hasText: words })).toHaveCount(1);
  await expect(box).toHaveValue('');
  await expect(page.getByRole('alert').filter({ hasText: /\S/ })).toHaveCount(0);
  const { history } = await incidentOf(page.request, incident.id);
  expect(history.filter(({ what }) => what === words)).toHaveLength(1);

  // The panel stands as it stood, and what others change arrives again.
  await expect(panel).toContainText(`#${incident.number}`);
  await expect(queue).toHaveURL(new RegExp(`panel=${incident.id}`));
  const other = incident.state === 'acknowledged' ? 'in_progress' : 'acknowledged';
  await changeState(page.request, incident.id, other);
  await expect(panel.locator(`[data-state="${other}"]`).first()).toBeVisible();
  await changeState(page.request, incident.id, incident.state);
  await queue.close();
});
