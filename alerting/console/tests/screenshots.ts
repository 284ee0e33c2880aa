import { type BrowserContext, expect, type Page, test } from '@playwright/test';
import type { AttackTechnique, Incident, UnitStanding } from '../src/api/types';
import { incidentOf, listIncidents } from './server';

// `make screenshots`: every screen in both themes and languages, for people to look at. No test of anything.
// `-g incident` takes those whose name holds the word. The server is the demonstration of `make demo`.

/** Beside the Makefile; git ignores it. */
const FOLDER = '../../screenshots';

// What is not there is told soon, and the other screens go on.
test.use({ actionTimeout: 20_000 });

/** What of the demonstration the screens are about. */
interface Facts {
  /** Of many rules, and open. */
  incident: Incident;
  alert: string;
  correlation: Incident;
  technique: string;
  rule: string;
  correlationRule: string;
  event: string;
  silentUnit: string;
  suppression: string;
}

interface Screen {
  path: string | ((facts: Facts) => string);
  /** What is arranged before the page is asked for. */
  before?: (page: Page) => Promise<void>;
  /** What is done before the picture is taken. */
  steps?: (page: Page, facts: Facts) => Promise<void>;
  /** What is taken back after it. */
  after?: (page: Page) => Promise<void>;
  /** Whether there is no session, or no live connection. */
  without?: 'session' | 'stream';
  /** In a narrow window, too: what is looked at on a phone. */
  narrow?: true;
}

const tick = async (page: Page) => {
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  for (let at = 0; at < 3; at += 1) {
    await page.keyboard.press('j');
    await page.keyboard.press('x');
  }
};
const typed = (text: string) => async (page: Page) => {
  await page.keyboard.press('/');
  await page.keyboard.type(text, { delay: 20 });
};
const pressed = (key: string) => (page: Page) => page.keyboard.press(key);
const scrolledTo = (selector: string) => (page: Page) =>
  page
    .locator(selector)
    .first()
    .evaluate((element) => element.scrollIntoView({ block: 'start' }));
const button = (page: Page, name: RegExp) => page.getByRole('button', { name }).first();

/** The list lacks its newest until the live connection stands, which then tells of them. */
async function newestComeLater(page: Page): Promise<void> {
  let listed = () => {};
  const isListed = new Promise<void>((resolve) => {
    listed = resolve;
  });
  let asked = 0;
  await page.route('**/api/v1/incidents?*', async (route) => {
    asked += 1;
    const response = await route.fetch();
    if (asked > 1) return route.fulfill({ response });
    const list = await response.json();
    await route.fulfill({ response, json: { ...list, items: list.items.slice(3), total: list.total - 3 } });
    listed();
  });
  await page.route('**/api/v1/stream', async (route) => {
    await isListed;
    await page.locator('a[data-row="0"]').waitFor();
    await route.continue();
  });
}

/** The server's own word on itself, with two things that went wrong in it. */
async function faulty(page: Page): Promise<void> {
  await page.route('**/api/v1/status', async (route) => {
    const response = await route.fetch();
    const status = await response.json();
    status.ready = false;
    status.parts.store = {
      state: 'retrying',
      detail: 'connection refused (os error 111)',
      said: { code: 'failed', error: 'connection refused (os error 111)' },
      retries: 7,
    };
    status.totals.dead_letters = 1204;
    const [agent] = status.details.agents?.agents ?? [];
    if (agent) Object.assign(agent, { silent: true, heard_s_ago: 5_400, lag_bytes: 73_400_320 });
    await route.fulfill({ response, json: status });
  });
}

/** The incident as it would be, without changing that of the demonstration. */
const asIf = (part: Partial<Incident>) => async (page: Page) => {
  await page.route(/\/api\/v1\/incidents\/[^/?]+$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), ...part } });
  });
};

const SCREENS: Record<string, Screen> = {
  'sign-in': { path: '/', without: 'session', narrow: true },
  incidents: { path: '/incidents', narrow: true },
  'incidents-narrowed': { path: '/incidents?state=open&severity=critical,high&unit_below=hcmc/phuong' },
  'incidents-none': { path: '/incidents?host=no-such-host' },
  'incidents-panel': { path: ({ incident: { id } }) => `/incidents?panel=${id}&at=${id}` },
  'incidents-new': { path: '/incidents', before: newestComeLater },
  'incidents-ticked': { path: '/incidents?at=none', steps: tick },
  'incidents-undo': {
    path: '/incidents?state=new&at=none',
    steps: async (page) => {
      await tick(page);
      await page.keyboard.press('b');
      await expect(button(page, /Undo|Hoàn tác/)).toBeVisible();
    },
    after: async (page) => {
      const undone = page.waitForResponse((response) => response.url().endsWith('/bulk/undo'));
      await page.keyboard.press('z');
      await undone;
    },
  },
  'incidents-merge': {
    path: '/incidents?at=none',
    steps: async (page) => {
      await tick(page);
      await page
        .getByTestId('bulk-bar')
        .getByRole('button', { name: /Merge…|Gộp…/ })
        .click();
    },
  },
  'incidents-views': {
    path: '/incidents?state=open&severity=critical',
    steps: async (page) => {
      await button(page, /^(View:|Góc nhìn:)/).click();
    },
  },
  'incidents-keys': { path: '/incidents', steps: pressed('?') },
  'incidents-palette': { path: '/incidents', steps: pressed('Control+k') },
  'incidents-offline': {
    path: '/incidents',
    without: 'stream',
    steps: (page) => expect(page.locator('canvas')).toBeVisible(),
  },
  'incidents-signed-out': {
    path: '/incidents',
    steps: async (page) => {
      await expect(page.locator('a[data-row="0"]')).toBeVisible();
      await page.context().clearCookies();
      await page.locator('nav a[href="/status"]').click();
      await expect(page.locator('input[type="password"]')).toBeVisible();
    },
  },
  incident: { path: ({ incident: { id } }) => `/incidents/${id}`, narrow: true },
  'incident-below': {
    path: ({ incident: { id } }) => `/incidents/${id}`,
    steps: scrolledTo('[data-testid="rule"]'),
  },
  'incident-correlation': { path: ({ correlation: { id } }) => `/incidents/${id}` },
  'incident-keys': { path: ({ incident: { id } }) => `/incidents/${id}`, steps: pressed('?') },
  'incident-close': {
    path: ({ incident: { id } }) => `/incidents/${id}`,
    before: asIf({ state: 'resolved', verdict: null }),
    steps: pressed('c'),
    narrow: true,
  },
  'incident-reason': {
    path: ({ incident: { id } }) => `/incidents/${id}`,
    before: asIf({ state: 'closed', verdict: 'false_positive' }),
  },
  'incident-suppress': {
    path: ({ incident: { id }, alert }) => `/incidents/${id}?suppress=${alert}`,
    narrow: true,
  },
  search: { path: '/search?range=all&field=user', narrow: true },
  'search-completion': { path: '/search?range=all', steps: typed('host:bastion-bt-01 and us') },
  'search-fault': { path: '/search?range=all&q=user:root and src_ip:10.0.0.300' },
  'search-event': { path: ({ event }) => `/search?range=all&event=${event}`, narrow: true },
  'search-neighbours': {
    path: ({ event }) => `/search?range=all&event=${event}`,
    steps: scrolledTo('[data-testid="neighbours"]'),
  },
  'search-nothing': { path: '/search?q=nothing-like-that' },
  'search-unknown': { path: '/search?range=all&q=usr:root' },
  'search-times': { path: '/search?from=2026-01-01T00:00:30Z&to=2026-12-31T00:00:00Z' },
  rules: { path: '/rules', narrow: true },
  'rules-open': { path: ({ rule }) => `/rules?open=${rule}` },
  rule: { path: ({ rule }) => `/rules/${rule}`, narrow: true },
  'rule-correlation': { path: ({ correlationRule }) => `/rules/${correlationRule}` },
  attack: { path: '/attack', narrow: true },
  'attack-open': { path: ({ technique }) => `/attack?open=${technique}` },
  entity: { path: ({ incident: { host } }) => `/entity?kind=host&value=${encodeURIComponent(host)}` },
  units: { path: '/units', narrow: true },
  'units-open': { path: '/units?open=hcmc' },
  'units-silent': { path: ({ silentUnit }) => `/units?show=silent&open=${silentUnit}` },
  'units-edit': { path: '/units?open=hcmc&change=edit' },
  'units-merge': { path: '/units?open=hcmc&change=merge' },
  'units-import': {
    path: '/units',
    steps: (page) => button(page, /CSV/).click(),
  },
  status: { path: '/status', narrow: true },
  'status-below': { path: '/status', steps: scrolledTo('#agents') },
  'status-fault': { path: '/status', before: faulty },
  suppressions: { path: '/administration/suppressions?state=all', narrow: true },
  'suppressions-open': {
    path: ({ suppression }) => `/administration/suppressions?state=all&open=${suppression}`,
  },
  notifications: { path: '/administration/notifications' },
  'notifications-form': { path: '/administration/notifications?edit=webhook' },
  people: { path: '/administration/people', narrow: true },
  'people-form': { path: '/administration/people?edit=new' },
  tokens: { path: '/administration/tokens' },
  'tokens-form': { path: '/administration/tokens?edit=new' },
  audit: { path: '/administration/audit', narrow: true },
  'audit-filtered': { path: '/administration/audit?who=admin&from=2026-01-01T00:00:00Z' },
  'not-found': { path: '/nowhere' },
};

let gathered: Promise<Facts> | undefined;

async function factsFrom({ request }: BrowserContext): Promise<Facts> {
  const ask = async (path: string) => (await request.get(`/api/v1${path}`)).json();
  const { items } = await listIncidents(request);
  const open = items.filter(({ state }) => state === 'new');
  const incident = open.reduce(
    (most, each) => (each.rule_count > most.rule_count ? each : most),
    open[0] as Incident,
  );
  const correlation = items.find(({ rule }) => rule.correlation);
  const alert = (await incidentOf(request, incident.id)).alerts[0]?.id;
  const { techniques }: { techniques: AttackTechnique[] } = await ask('/attack');
  const most = techniques.toSorted((one, other) => other.alerts - one.alerts)[0];
  const { items: events } = await ask('/events?limit=1&q=user:*');
  const { items: standings }: { items: UnitStanding[] } = await ask('/postures');
  // The office itself, not those above it.
  const silent = standings.find((standing) => (standing.silent ?? 0) > 0 && standing.agents === 1);
  const { items: suppressions } = await ask('/suppressions?state=all');
  if (!correlation || !alert || !most || !events[0] || !silent || !suppressions[0]) {
    throw new Error('the screenshots want the demonstration of make demo');
  }
  return {
    incident,
    alert,
    correlation,
    technique: most.id,
    rule: items.find((one) => !one.rule.correlation)?.rule.id ?? incident.rule.id,
    correlationRule: correlation.rule.id,
    event: events[0].id,
    silentUnit: silent.id,
    suppression: suppressions[0].id,
  };
}

for (const theme of ['light', 'dark']) {
  for (const language of ['vi', 'en']) {
    for (const [name, screen] of Object.entries(SCREENS)) {
      const sizes: [string, { width: number; height: number }][] = [['', { width: 1440, height: 900 }]];
      if (screen.narrow) sizes.push(['-narrow', { width: 390, height: 844 }]);
      for (const [size, viewport] of sizes) {
        test.describe(() => {
          test.use({ viewport });
          if (screen.without === 'session') test.use({ storageState: { cookies: [], origins: [] } });
          test(`${name}${size}, ${theme}, ${language}`, async ({ page, context }) => {
            await page.addInitScript(
              ([chosen, spoken]) => {
                localStorage.setItem('citywatch.theme', chosen ?? '');
                localStorage.setItem('citywatch.language', spoken ?? '');
                sessionStorage.clear();
              },
              [theme, language],
            );
            if (screen.without !== 'session') gathered ??= factsFrom(context);
            const facts = (await gathered) as Facts;
            if (screen.without === 'stream') {
              await page.route('**/api/v1/stream', (route) => route.abort('connectionfailed'));
            }
            await screen.before?.(page);
            await page.goto(typeof screen.path === 'string' ? screen.path : screen.path(facts));
            if (!screen.without) {
              await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
            }
            await expect(page.locator('[role="status"] [class*="Loader"]')).toHaveCount(0);
            await page.evaluate(() => document.fonts.ready);
            await screen.steps?.(page, facts);
            // What follows a key comes with the next frames.
            await page.waitForTimeout(500);
            await page.screenshot({ path: `${FOLDER}/${name}${size}-${theme}-${language}.png` });
            await screen.after?.(page);
          });
        });
      }
    }
  }
}
