import { expect, type Page, test } from '@playwright/test';
import { importUnits, incidentOf, listIncidents } from './server';

// `make screenshots`: every screen in both themes and languages, for people to look at. No test of anything.

/** Beside the Makefile; git ignores it. */
const FOLDER = '../../screenshots';

interface Screen {
  name: string;
  path: string;
  /** What is done before the picture is taken. */
  steps?: (page: Page) => Promise<void>;
}

async function screens(page: Page): Promise<Screen[]> {
  await importUnits(page.request);
  const { items } = await listIncidents(page.request);
  const correlation = items.find(({ rule }) => rule.correlation) ?? items[0];
  const single = items.find(({ rule }) => !rule.correlation) ?? items[0];
  if (!correlation || !single) throw new Error('the demo has incidents');
  const alert = (await incidentOf(page.request, single.id)).alerts[0]?.id;
  const { items: rules } = await (await page.request.get('/api/v1/rules')).json();
  const { techniques } = await (await page.request.get('/api/v1/attack')).json();
  const { items: events } = await (await page.request.get('/api/v1/events?limit=1')).json();
  const tick = async () => {
    for (let at = 0; at < 3; at += 1) {
      await page.keyboard.press('j');
      await page.keyboard.press('x');
    }
  };
  const typed = (text: string) => async () => {
    await page.keyboard.press('/');
    await page.keyboard.type(text);
  };
  return [
    { name: 'incidents', path: '/incidents' },
    { name: 'incidents-panel', path: `/incidents?panel=${single.id}&at=${single.id}` },
    { name: 'incidents-ticked', path: '/incidents?at=none', steps: tick },
    { name: 'incidents-keys', path: '/incidents', steps: () => page.keyboard.press('?') },
    { name: 'incidents-palette', path: '/incidents', steps: () => page.keyboard.press('Control+k') },
    { name: 'incident', path: `/incidents/${single.id}` },
    { name: 'incident-correlation', path: `/incidents/${correlation.id}` },
    { name: 'incident-suppress', path: `/incidents/${single.id}?suppress=${alert}` },
    { name: 'search', path: '/search?range=all&field=user' },
    { name: 'search-completion', path: '/search?range=all', steps: typed('host:bastion-01 and us') },
    { name: 'search-fault', path: '/search?range=all&q=user:root and src_ip:10.0.0.300' },
    { name: 'search-event', path: `/search?range=all&event=${events[0]?.id}` },
    { name: 'search-nothing', path: '/search?q=nothing-like-that' },
    { name: 'rules', path: '/rules' },
    { name: 'rules-open', path: `/rules?open=${rules[0]?.id}` },
    { name: 'rule', path: `/rules/${rules[0]?.id}` },
    { name: 'attack', path: '/attack' },
    { name: 'attack-open', path: `/attack?open=${techniques[0]?.id}` },
    { name: 'entity', path: `/entity?kind=host&value=${encodeURIComponent(single.host)}` },
    { name: 'units', path: '/units' },
    { name: 'units-open', path: '/units?open=hcmc' },
    { name: 'units-edit', path: '/units?open=hcmc&change=edit' },
    { name: 'units-merge', path: '/units?open=hcmc&change=merge' },
    { name: 'status', path: '/status' },
    { name: 'suppressions', path: '/administration/suppressions?state=all' },
    { name: 'notifications', path: '/administration/notifications' },
    { name: 'notifications-form', path: '/administration/notifications?edit=webhook' },
    { name: 'people', path: '/administration/people' },
    { name: 'people-form', path: '/administration/people?edit=new' },
    { name: 'tokens', path: '/administration/tokens' },
    { name: 'tokens-form', path: '/administration/tokens?edit=new' },
    { name: 'audit', path: '/administration/audit' },
    { name: 'audit-filtered', path: '/administration/audit?who=admin&from=2026-01-01T00:00:00Z' },
    { name: 'not-found', path: '/nowhere' },
  ];
}

for (const theme of ['light', 'dark']) {
  for (const language of ['vi', 'en']) {
    test(`every screen, ${theme}, ${language}`, async ({ page }) => {
      await page.addInitScript(
        ([chosen, spoken]) => {
          localStorage.setItem('citywatch.theme', chosen ?? '');
          localStorage.setItem('citywatch.language', spoken ?? '');
          sessionStorage.clear();
        },
        [theme, language],
      );
      for (const { name, path, steps } of await screens(page)) {
        await page.goto(path);
        await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
        await expect(page.locator('[role="status"] [class*="Loader"]')).toHaveCount(0);
        await page.evaluate(() => document.fonts.ready);
        await steps?.(page);
        // What follows a key comes with the next frames.
        await page.waitForTimeout(400);
        await page.screenshot({ path: `${FOLDER}/${name}-${theme}-${language}.png` });
      }
    });
  }
}
