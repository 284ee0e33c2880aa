import { expect, type Page, type Route, test } from '@playwright/test';
import { credentials, incidentOf, listIncidents, watchTrouble } from './server';

// Filters, ticks, rows, panels and what was typed are where they were: after Back, a reload, another sign-in, and
// while there is no network. The window is low, so that the list is longer than it.
test.use({ viewport: { width: 1440, height: 560 } });

function scroller(page: Page) {
  return page.locator('[data-scroller]');
}

function scrolled(page: Page): Promise<number> {
  return scroller(page).evaluate((element) => element.scrollTop);
}

/** The session is gone at the server, too: what is done next finds that out. */
async function endSession(page: Page, next: () => Promise<void>): Promise<void> {
  // What the page happens to read again meanwhile has to wait: it would find out first.
  const held: Route[] = [];
  const hold = async (route: Route) => {
    if (route.request().method() === 'GET') held.push(route);
    else await route.continue();
  };
  await page.route('**/api/v1/**', hold);
  await page.context().clearCookies();
  await next();
  await expect(page.getByText('Your session has ended')).toBeVisible();
  await page.unroute('**/api/v1/**', hold);
  for (const route of held) await route.continue().catch(() => undefined);
}

async function signInAgain(page: Page): Promise<void> {
  const { password } = credentials();
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await expect(page.getByLabel('Password', { exact: true })).toBeHidden();
}

test('the queue: filter, ticks, row, panel and scroll survive a reload, Back and another sign-in', async ({
  page,
}) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  const listed = items.filter(({ state }) => state === 'new');
  expect(listed.length).toBeGreaterThan(12);
  const [one, other, far] = [listed[1], listed[3], listed[11]];
  if (!one || !other || !far) throw new Error('the demo has new incidents');
  await page.goto('/incidents?state=new');
  for (const { number } of [one, other]) {
    await page.getByRole('checkbox', { name: `Tick #${number}`, exact: true }).click();
  }
  await page.locator('a[data-row="0"]').focus();
  for (let at = 0; at < 11; at += 1) await page.keyboard.press('j');
  const row = page.locator(`a[data-id="${far.id}"]`);
  await expect(row).toBeFocused();
  await page.keyboard.press('Enter');
  const panel = page.getByTestId('incident-panel');
  const heading = panel.getByRole('heading', { level: 2 }).first();
  await expect(heading).toContainText(`#${far.number}`);
  const stands = async () => {
    await expect(page).toHaveURL(new RegExp(`state=new.*panel=${far.id}|panel=${far.id}.*state=new`));
    await expect(heading).toContainText(`#${far.number}`);
    await expect(page.getByTestId('bulk-bar')).toContainText('2 ticked');
    await expect(row).toBeInViewport();
    expect(await scrolled(page)).toBeGreaterThan(100);
  };
  await stands();
  await page.reload();
  await stands();
  await page.keyboard.press('o');
  await expect(page).toHaveURL(new RegExp(`/incidents/${far.id}`));
  await page.goBack();
  await stands();
  await endSession(page, () => page.keyboard.press('a'));
  await signInAgain(page);
  await stands();
  // The key was pressed before the session was found to have ended: it was not lost either.
  const assigned = async () => (await incidentOf(page.request, one.id)).assignee;
  await expect.poll(assigned).toBe('admin');
  await page.keyboard.press('z');
  await expect.poll(assigned).toBeNull();
  expect(trouble).toEqual([]);
});

test('the queue: who scrolls by hand and looks at an incident comes back to the same place', async ({
  page,
}) => {
  await page.goto('/incidents');
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  await scroller(page).evaluate((element) => element.scrollTo({ top: 420 }));
  await expect.poll(() => scrolled(page)).toBe(420);
  await page.getByRole('link', { name: 'Rules', exact: true }).click();
  await expect(page).toHaveURL(/\/rules/);
  await page.goBack();
  await expect(page.locator('a[data-row]').first()).toBeVisible();
  await expect.poll(() => scrolled(page)).toBe(420);
  // Heights are measured anew after a reload; the row at the top is the same.
  const top = () =>
    scroller(page).evaluate((element) => {
      const { top } = element.getBoundingClientRect();
      const rows = [...element.querySelectorAll('a[data-row]')];
      return rows.find((row) => row.getBoundingClientRect().top > top + 48)?.getAttribute('data-id');
    });
  const before = await top();
  await page.reload();
  await expect(page.locator('a[data-row]').first()).toBeVisible();
  await expect.poll(top).toBe(before);
  expect(await scrolled(page)).toBeGreaterThan(200);
});

test('facets and the histogram narrow the list, each in the address, and Back widens it again', async ({
  page,
}) => {
  await page.goto('/incidents');
  const facet = page.getByTestId('facet-severity');
  const high = facet.getByRole('checkbox', { name: /^high/ });
  const count = Number(
    /(\d+)\s*$/.exec((await facet.locator('label', { hasText: 'high' }).innerText()).trim())?.[1],
  );
  await high.check();
  await expect(page).toHaveURL(/severity=high/);
  const total = page.getByText(/^\d+ incidents?$/);
  await expect(total).toHaveText(new RegExp(`^${count} incident`));
  await page.reload();
  await expect(high).toBeChecked();
  await expect(total).toHaveText(new RegExp(`^${count} incident`));
  const histogram = page.getByTestId('incident-histogram').getByRole('slider');
  await histogram.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  const told = Number(/: (\d+)$/.exec((await histogram.getAttribute('aria-valuetext')) ?? '')?.[1]);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/severity=high.*from=.*to=/);
  await expect(total).toHaveText(new RegExp(`^${told} incident`));
  await page.goBack();
  await expect(total).toHaveText(new RegExp(`^${count} incident`));
  const box = await histogram.boundingBox();
  if (!box) throw new Error('the histogram is on the page');
  await page.mouse.move(box.x + 60, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 30, box.y + 30, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=.*to=/);
  await page.goBack();
  await high.uncheck();
  await expect(page).not.toHaveURL(/severity/);
});

test('what was typed and not sent survives a reload and another sign-in', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find(({ verdict, state }) => !verdict && state === 'new');
  if (!incident) throw new Error('the demo has new incidents');
  await page.goto(`/incidents/${incident.id}`);
  await expect(page.getByTestId('story')).toBeVisible();
  await page.keyboard.press('t');
  const reason = page.getByRole('textbox', { name: 'Reason of the verdict' });
  await reason.fill('a reason half writ');
  const comment = page.getByRole('textbox', { name: 'Comment' });
  await comment.fill('a comment half writ');
  await page.reload();
  await expect(reason).toHaveValue('a reason half writ');
  await expect(comment).toHaveValue('a comment half writ');
  await endSession(page, () => reason.press('Enter'));
  await signInAgain(page);
  await expect(comment).toHaveValue('a comment half writ');
  await expect
    .poll(async () => (await incidentOf(page.request, incident.id)).verdict_reason)
    .toBe('a reason half writ');
  await comment.fill('');
  await page.keyboard.press('Escape');
  const { csrf } = await (await page.request.get('/api/v1/session')).json();
  await page.request.patch(`/api/v1/incidents/${incident.id}`, {
    headers: {
      'X-CSRF-Token': csrf,
      'If-Match': `"${(await incidentOf(page.request, incident.id)).version}"`,
    },
    data: { verdict: null, verdict_reason: null },
  });
});

test('without a network the search keeps its line and says so; with it the search goes on', async ({
  page,
}) => {
  await page.goto('/search?range=all&q=password');
  const rows = page.getByRole('table', { name: 'Events' }).locator('a[data-row]');
  await expect(rows.first()).toBeVisible();
  await page.context().setOffline(true);
  const line = page.getByRole('combobox', { name: 'Text to look for' });
  await line.fill('host:bastion-01 and sudo');
  await line.press('Enter');
  await expect(page).toHaveURL(/q=host/);
  await expect(page.getByText('The server does not answer')).toBeVisible();
  await expect(line).toHaveValue('host:bastion-01 and sudo');
  await page.context().setOffline(false);
  await expect(page.locator('td mark', { hasText: 'sudo' }).first()).toBeVisible();
});
