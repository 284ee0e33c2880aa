import { expect, test } from '@playwright/test';
import { incidentOf, listIncidents, watchTrouble } from './server';

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
  await page.route(`**/api/v1/incidents/${from.id}`, (route) =>
    route.fulfill({ json: { ...detail, merged_into: into.id } }),
  );
  await page.goto(`/incidents/${from.id}`);
  await page.getByRole('link', { name: 'another one' }).click();
  await expect(page).toHaveURL(new RegExp(into.id));
});
