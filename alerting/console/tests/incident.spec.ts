import { expect, test } from '@playwright/test';
import { changeIncident, incidentOf, listIncidents, watchTrouble } from './server';

test('a comment is written, kept as a draft, shown as Markdown, and harmless', async ({ page }) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  await page.goto(`/incidents/${items[3]?.id}`);
  const box = page.getByRole('textbox', { name: 'Comment' });
  await expect(box).toBeVisible();
  await page.keyboard.press('m');
  await expect(box).toBeFocused();
  const mark = `seen at ${Date.now()}`;
  await box.fill(
    `**${mark}** [site](javascript:window.hurt=1) <img src=x onerror="window.hurt=2"> <script>window.hurt=3</script>`,
  );
  await page.reload();
  await expect(box).toHaveValue(new RegExp(mark));
  await page.getByRole('button', { name: 'Preview' }).click();
  await expect(page.getByTestId('comment-preview').locator('b')).toHaveText(mark);
  await box.focus();
  await page.keyboard.press('Control+Enter');
  const comment = page.getByTestId('comment').last();
  await expect(comment.locator('b', { hasText: mark })).toBeVisible();
  await expect(comment).toContainText('<script>window.hurt=3</script>');
  await expect(comment.locator('a, img, script')).toHaveCount(0);
  await expect(box).toHaveValue('');
  await page.reload();
  await expect(comment.locator('b', { hasText: mark })).toBeVisible();
  await expect(box).toHaveValue('');
  expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
  expect(trouble).toEqual([]);
});

test('the condition of a rule is a tree, with what was true and by which value', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find((each) => !each.rule.correlation);
  if (!incident) throw new Error('the demo has incidents of rules');
  const detail = await incidentOf(page.request, incident.id);
  const value = String(detail.events[0]?.matched[0]?.value ?? '').split(',')[0] ?? '';
  await page.goto(`/incidents/${incident.id}`);
  const tree = page.getByTestId('condition').first();
  await expect(tree.locator('[data-held]').first()).toBeVisible();
  await expect(tree.getByRole('group', { name: 'What the event has for it' }).first()).toBeVisible();
  await expect(tree).toContainText(value);
  // The same as the server's word on it.
  const path = `/api/v1/incidents/${incident.id}/explanations`;
  const { items: explained } = await (await page.request.get(path)).json();
  expect(explained[0].holds).toBe(true);
  await expect(page.getByTestId('rule').first()).toContainText('Judged on the event of');
});

test('an incident takes another one in, which then leads to it', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const [from, into] = items.slice(-2);
  if (!from || !into) throw new Error('the demo has incidents');
  // Of its own: what is merged stays merged, so this test asks the page for two that exist only here.
  const answer = { ...into, version: into.version + 1 };
  let sent: unknown;
  await page.route(`**/api/v1/incidents/${into.id}/merge`, (route) => {
    sent = route.request().postDataJSON();
    return route.fulfill({ json: answer });
  });
  await page.route('**/api/v1/incidents?*', (route) =>
    route.fulfill({ json: { items: [from, into], next_cursor: null, total: 2 } }),
  );
  await page.goto('/incidents');
  for (const { number } of [from, into])
    await page.getByRole('checkbox', { name: `Tick #${number}`, exact: true }).click();
  await page.getByRole('button', { name: 'Merge…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Merge incidents' });
  await expect(dialog.getByRole('radio', { checked: true })).toHaveValue(into.id);
  await dialog.getByRole('button', { name: 'Merge' }).click();
  await expect(page.getByText(`Into incident #${into.number}`)).toBeVisible();
  expect(sent).toEqual({ from: [from.id] });
  const detail = await incidentOf(page.request, from.id);
  let isMerged = false;
  await page.route(`**/api/v1/incidents/${from.id}`, (route) =>
    isMerged
      ? route.fulfill({ json: { ...detail, merged_into: into.id, event_count: 0, events: [], alerts: [] } })
      : route.continue(),
  );
  // Whoever writes meanwhile is refused; what was typed is kept and can go along.
  await page.route(`**/api/v1/incidents/${from.id}/comments`, (route) => {
    isMerged = true;
    return route.fulfill({
      status: 409,
      contentType: 'application/problem+json',
      json: {
        status: 409,
        title: 'Conflict',
        detail: 'merged',
        said: { code: 'merged' },
        merged_into: into.id,
      },
    });
  });
  await page.goto(`/incidents/${from.id}`);
  const words = `typed before the merge ${Date.now()}`;
  await page.getByRole('textbox', { name: 'Comment' }).fill(words);
  await page.getByRole('button', { name: /^Comment/ }).click();
  await expect(page.getByTestId('merged-into')).toContainText(`#${into.number} ${into.title}`);
  // It looks like what it is: nothing runs, nothing can be done to it.
  await expect(page.getByRole('textbox', { name: /which was not sent/ })).toHaveValue(words);
  await expect(page.getByText('0 events')).toHaveCount(0);
  await expect(page.getByTestId('next-clock')).toHaveCount(0);
  await expect(page.getByTestId('clock')).toHaveCount(0);
  for (const name of [/^Acknowledge/, /^Resolve/, /^Reopen/, /positive/, /^Assign/, /^Comment/]) {
    await expect(page.getByRole('button', { name })).toHaveCount(0);
  }
  await page.goto(`/incidents?panel=${from.id}`);
  const panel = page.getByTestId('incident-panel');
  await expect(panel.getByTestId('merged-into')).toBeVisible();
  await expect(panel.getByRole('button', { name: /positive|^Assign|^Suppress/ })).toHaveCount(0);
  await page.goto(`/incidents/${from.id}`);
  await page.getByRole('button', { name: 'Take it to the other incident' }).click();
  await expect(page).toHaveURL(new RegExp(into.id));
  await expect(page.getByRole('textbox', { name: 'Comment' })).toHaveValue(words);
  await page.getByRole('textbox', { name: 'Comment' }).fill('');
  await page.goto(`/incidents/${from.id}`);
  await page.getByTestId('merged-into').getByRole('link').click();
  await expect(page).toHaveURL(new RegExp(into.id));
});

test('a reason that is being typed stays when somebody else writes another, which is shown beside it', async ({
  page,
}) => {
  const { items } = await listIncidents(page.request);
  const incident = items.find(({ verdict, state }) => !verdict && state === 'new');
  if (!incident) throw new Error('the demo has new incidents');
  await page.goto(`/incidents/${incident.id}`);
  await expect(page.getByTestId('connection')).toContainText('Live');
  await expect(page.getByTestId('story')).toBeVisible();
  await page.keyboard.press('f');
  const reason = page.getByRole('textbox', { name: 'Reason of the verdict' });
  await reason.fill('the nightly backup');
  await changeIncident(page.request, incident.id, { verdict_reason: 'a scan of ours' });
  await expect(page.getByText('Somebody else wrote meanwhile: a scan of ours')).toBeVisible();
  await expect(reason).toHaveValue('the nightly backup');
  await expect(reason).toBeFocused();
  await reason.press('End');
  await reason.pressSequentially(' job');
  await expect(reason).toHaveValue('the nightly backup job');
  await reason.press('Enter');
  await expect(page.getByText('Somebody else wrote meanwhile')).toBeHidden();
  expect((await incidentOf(page.request, incident.id)).verdict_reason).toBe('the nightly backup job');
  // What nobody types over follows; what somebody does may give way.
  await changeIncident(page.request, incident.id, { verdict_reason: 'a scan again' });
  await expect(reason).toHaveValue('a scan again');
  await reason.fill('half');
  await changeIncident(page.request, incident.id, { verdict_reason: 'a scan after all' });
  await page.getByRole('button', { name: 'Take theirs' }).click();
  await expect(reason).toHaveValue('a scan after all');
  await changeIncident(page.request, incident.id, { verdict: null, verdict_reason: null });
});
