import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, type Page, test } from '@playwright/test';
import type { EventDetail, EventFields } from '../src/api/types';
import { importUnits, incidentOf, listIncidents, watchTrouble } from './server';

const HOSTILE = [
  '<script>window.hurt = 1</script>',
  '<img src=x onerror="window.hurt = 2">',
  '<svg onload="window.hurt = 3"></svg>',
  'javascript:alert(4)',
  'invoice\u202efdp.exe',
  '\u001b[31mred\u001b[0m\u001b]0;title\u0007',
  '=cmd|calc',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: an attack on template engines
  '${{constructor.constructor("window.hurt = 5")()}}',
].join(' ');

const EVENT: EventDetail = {
  id: 'a'.repeat(32),
  event_time: '2026-11-22T00:00:00.000001Z',
  received_at: '2026-11-22T00:00:01Z',
  host: `host ${HOSTILE}`,
  unit: `unit ${HOSTILE}`,
  format: 'syslog',
  product: HOSTILE,
  category: '',
  service: '',
  user: HOSTILE,
  source_address: null,
  source_port: null,
  destination_address: null,
  destination_port: null,
  process: '',
  parent_process: '',
  command_line: '',
  hash: '',
  url: '',
  action: '',
  outcome: '',
  event_code: '',
  message: HOSTILE,
  raw: `${HOSTILE} ${'A'.repeat(1_000_000)}`,
  fields: [
    { name: HOSTILE, value: HOSTILE },
    { name: 'list', value: [HOSTILE, 1, null, { [HOSTILE]: HOSTILE }] },
  ],
  entities: [{ kind: HOSTILE, value: HOSTILE }],
  agent: HOSTILE,
  stream: HOSTILE,
  position: '0',
  problems: [],
  truncated: [],
};

const FIELDS: EventFields = {
  elapsed_ms: 1,
  items: [
    {
      name: HOSTILE,
      events: 1,
      distinct: 1,
      entity: 'host',
      top: [{ value: HOSTILE, events: 1, entity: HOSTILE }],
    },
  ],
};

test('hostile content of logs is text', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.route('**/api/v1/events?*', (route) =>
    route.fulfill({ json: { items: [EVENT], next_cursor: null, elapsed_ms: 1 } }),
  );
  await page.route('**/api/v1/events/*', (route) => route.fulfill({ json: EVENT }));
  await page.route('**/api/v1/events/fields?*', (route) => route.fulfill({ json: FIELDS }));
  await page.route('**/api/v1/events/histogram?*', (route) =>
    route.fulfill({
      json: { seconds: 60, total: 1, bars: [{ at: EVENT.event_time, events: 1 }], elapsed_ms: 1 },
    }),
  );
  await page.route('**/api/v1/events/*/neighbours', (route) =>
    route.fulfill({ json: { before: [EVENT], after: [EVENT] } }),
  );
  await page.setViewportSize({ width: 1920, height: 900 });
  await page.goto(`/search?range=all&event=${EVENT.id}&field=${encodeURIComponent(HOSTILE)}`);
  await expect(page.getByTestId('field-value')).toContainText('invoice[U+202E]fdp.exe');
  const panel = page.getByTestId('event-panel');
  await expect(panel.getByRole('table', { name: 'Fields' })).toBeVisible();
  await expect(panel).toContainText('<script>window.hurt = 1</script>');
  await expect(panel).toContainText('invoice[U+202E]fdp.exe');
  await expect(panel).toContainText('[ESC][31mred');
  await expect(panel).toContainText('more characters');
  const shown = (await page.locator('body').textContent()) ?? '';
  for (const character of ['\u202e', '\u001b', '\u0007']) expect(shown.includes(character)).toBe(false);
  expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
  expect(trouble).toEqual([]);
});

test('a megabyte in a field leaves event, incident and search usable', async ({ page }) => {
  const trouble = watchTrouble(page);
  const huge = `${HOSTILE} ${'nhật ký dài '.repeat(90_000)}`;
  expect(huge.length).toBeGreaterThan(1_000_000);
  const event: EventDetail = {
    ...EVENT,
    message: huge,
    raw: huge,
    command_line: huge,
    process: huge,
    user: huge,
    fields: [
      { name: 'CommandLine', value: huge },
      { name: 'after', value: 'the last field' },
    ],
    entities: [{ kind: 'user', value: huge }],
  };
  const fields: EventFields = {
    elapsed_ms: 1,
    items: [
      { name: 'user', events: 1, distinct: 1, entity: null, top: [{ value: huge, events: 1, entity: null }] },
    ],
  };
  await page.route('**/api/v1/events?*', (route) =>
    route.fulfill({ json: { items: [event], next_cursor: null, elapsed_ms: 1 } }),
  );
  await page.route(`**/api/v1/events/${event.id}`, (route) => route.fulfill({ json: event }));
  await page.route('**/api/v1/events/fields?*', (route) => route.fulfill({ json: fields }));
  await page.route('**/api/v1/events/*/neighbours', (route) =>
    route.fulfill({ json: { before: [event], after: [event] } }),
  );
  // What is painted at each keystroke, and what a reader has to scroll past, is bounded; all of it can be had.
  const bounded = async () => {
    const { characters, attributes } = await page.evaluate(() => {
      const lengths = [...document.querySelectorAll('*')].flatMap((each) =>
        [...each.attributes].map(({ value }) => value.length),
      );
      return { characters: document.body.innerText.length, attributes: Math.max(...lengths) };
    });
    expect(characters).toBeLessThan(60_000);
    expect(attributes).toBeLessThan(20_000);
    expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
  };

  await page.setViewportSize({ width: 1920, height: 900 });
  await page.goto(`/search?range=all&event=${event.id}&field=user`);
  const panel = page.getByTestId('event-panel');
  await expect(panel.getByRole('table', { name: 'Fields' })).toContainText('the last field');
  await bounded();
  const cell = panel.locator('tr').filter({ hasText: 'CommandLine' });
  expect((await cell.boundingBox())?.height).toBeLessThan(900);
  const raw = panel.getByRole('group', { name: 'As it was written' });
  expect((await raw.boundingBox())?.height).toBeLessThan(400);
  await expect(panel.getByRole('button', { name: 'Copy' })).toBeVisible();
  const more = cell.getByRole('button', { name: /more characters/ });
  const before = (await cell.innerText()).length;
  await more.click();
  await expect.poll(async () => (await cell.innerText()).length).toBeGreaterThan(before + 50_000);
  const filter = panel.getByRole('searchbox', { name: 'Filter the fields' });
  await filter.pressSequentially('the last');
  await expect(filter).toHaveValue('the last');
  await expect(cell).toHaveCount(0);
  const line = page.getByRole('combobox', { name: 'Text to look for' });
  await line.pressSequentially('host:web');
  await expect(line).toHaveValue(/host:web$/);

  const incident = await incidentOf(page.request, (await listIncidents(page.request)).items[0]?.id ?? '');
  const first = incident.events[0];
  if (!first) throw new Error('the demo keeps evidence');
  await page.route(`**/api/v1/incidents/${incident.id}`, (route) =>
    route.fulfill({
      json: {
        ...incident,
        title: `${incident.title} ${HOSTILE}`,
        entities: [{ kind: 'user', value: huge }, ...incident.entities],
        events: [
          { ...first, raw: huge, matched: [{ name: 'CommandLine', value: huge }], fields: event.fields },
          ...incident.events.slice(1, 3),
        ],
      },
    }),
  );
  await page.goto(`/incidents/${incident.id}?event=${first.id}`);
  const box = page.getByRole('textbox', { name: 'Comment' });
  await box.pressSequentially('still usable');
  await expect(box).toHaveValue('still usable');
  await bounded();
  await box.fill('');
  expect(trouble).toEqual([]);
});

test('the page forbids scripts that are not its own', async ({ page }) => {
  const response = await page.goto('/incidents');
  const policy = response?.headers()['content-security-policy'] ?? '';
  const scripts =
    /(?:^|;)\s*script-src ([^;]*)/.exec(policy)?.[1] ?? /default-src ([^;]*)/.exec(policy)?.[1] ?? '';
  expect(scripts).toContain("'self'");
  expect(scripts).not.toMatch(/unsafe-inline|unsafe-eval|\*|https?:/);
});

test('nothing is fetched from elsewhere', async ({ page, baseURL }) => {
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(baseURL ?? '')) elsewhere.push(request.url());
  });
  for (const path of ['/incidents', '/search?range=all', '/status', '/administration/suppressions']) {
    await page.goto(path);
    await expect(page.getByTestId('connection')).toContainText('Live');
  }
  expect(elsewhere).toEqual([]);
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Runs axe past the page's policy, which would refuse it, and gives the violations. */
async function violations(page: Page): Promise<string[]> {
  const protocol = await page.context().newCDPSession(page);
  const run = `${AXE}; axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then((found) => found.violations.map((each) => each.id + ': ' + each.nodes[0].html.slice(0, 200)))`;
  const answer = await protocol.send('Runtime.evaluate', {
    expression: run,
    awaitPromise: true,
    returnByValue: true,
  });
  if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.text);
  return answer.result.value;
}

for (const theme of ['light', 'dark']) {
  for (const [language, width] of [
    ['vi', 1440],
    ['vi', 390],
    ['en', 1440],
    ['en', 390],
  ] as const) {
    test(`every page is accessible: ${theme}, ${language}, ${width} px`, async ({ page }) => {
      await page.setViewportSize({ width, height: 900 });
      await page.addInitScript(
        ([chosen, spoken]) => {
          localStorage.setItem('citywatch.theme', chosen ?? '');
          localStorage.setItem('citywatch.language', spoken ?? '');
        },
        [theme, language],
      );
      await importUnits(page.request);
      const { items } = await listIncidents(page.request);
      const { items: rules } = await (await page.request.get('/api/v1/rules')).json();
      const { techniques } = await (await page.request.get('/api/v1/attack')).json();
      const { items: units } = await (await page.request.get('/api/v1/units')).json();
      const { items: events } = await (await page.request.get('/api/v1/events?limit=1')).json();
      const host = encodeURIComponent(items[0]?.host ?? '');
      for (const path of [
        '/incidents',
        `/incidents/${items[0]?.id}`,
        '/search?range=all',
        '/search?range=all&field=user',
        '/search?range=all&q=user:',
        `/search?range=all&event=${events[0]?.id}`,
        `/incidents/${items[0]?.id}?suppress=${(await incidentOf(page.request, items[0]?.id ?? '')).alerts[0]?.id}`,
        '/status',
        '/administration/suppressions',
        '/administration/notifications?edit=webhook',
        '/administration/people',
        '/administration/people?edit=new',
        '/administration/tokens',
        '/administration/tokens?edit=new',
        '/administration/audit',
        '/administration/audit?who=admin&from=2026-01-01T00:00:00Z',
        '/units',
        `/units?open=${encodeURIComponent(units[0]?.id)}`,
        `/units?open=${encodeURIComponent(units[0]?.id)}&change=edit`,
        `/units?open=${encodeURIComponent(units[0]?.id)}&change=merge`,
        '/attack',
        `/attack?open=${techniques[0]?.id}`,
        `/entity?kind=host&value=${host}`,
        `/incidents?panel=${items[0]?.id}&at=${items[0]?.id}`,
        '/rules',
        `/rules?open=${rules[0]?.id}`,
        `/rules/${rules[0]?.id}`,
        '/nowhere',
      ]) {
        await page.goto(path);
        await expect(page.getByTestId('connection')).toHaveAttribute('data-state', 'live');
        await expect(page.locator('[role="status"] [class*="Loader"]')).toHaveCount(0);
        expect(await violations(page), path).toEqual([]);
      }
    });
  }
}
