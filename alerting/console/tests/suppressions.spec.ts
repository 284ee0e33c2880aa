import { expect, test } from '@playwright/test';
import { listIncidents, watchTrouble } from './server';

test('from an alert in three clicks, with a preview; listed and ended under Administration', async ({
  page,
}) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  const incident = items.find((each) => !each.rule.correlation);
  if (!incident) throw new Error('the demo has incidents of rules');
  await page.goto(`/incidents/${incident.id}`);
  await page.getByRole('button', { name: 'Suppress' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Suppress alerts like this' });
  await expect(dialog.getByTestId('suppress-preview')).toContainText('this would have hidden');
  await dialog.getByRole('radio', { name: 'Maintenance or an authorised test' }).click();
  await dialog.getByRole('button', { name: 'Suppress' }).click();
  await expect(dialog).toBeHidden();

  await page.getByRole('link', { name: 'Administration' }).click();
  const entry = page.getByTestId('suppression').filter({ hasText: incident.rule.title }).first();
  await expect(entry).toContainText('Maintenance or an authorised test');
  await expect(entry).toContainText(incident.host);
  await entry.getByRole('button', { name: 'End now' }).click();
  await expect(page.getByText('Nothing is suppressed')).toBeVisible();
  await page.getByRole('combobox', { name: 'State' }).selectOption('Ended');
  await expect(page).toHaveURL(/state=ended/);
  await expect(entry).toContainText('ended early');
  expect(trouble).toEqual([]);
});

test('from the list by three keys', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  await page.goto('/incidents');
  const row = page.locator('a[data-row="0"]');
  await row.focus();
  await page.keyboard.press('s');
  const dialog = page.getByRole('dialog', { name: 'Suppress alerts like this' });
  await expect(dialog.getByRole('radio').first()).toBeFocused();
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await expect(dialog).toBeHidden();
  await page.goto('/administration/suppressions');
  const entry = page.getByTestId('suppression').first();
  await expect(entry).toContainText('False positive');
  await expect(entry).toContainText(items[0]?.rule.title ?? '');
  await entry.getByRole('button', { name: 'End now' }).click();
  await expect(page.getByText('Nothing is suppressed')).toBeVisible();
});

test('what was chosen and typed survives a reload, and what is hidden can be looked at', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  await page.goto(`/incidents/${items[0]?.id}`);
  await page.getByRole('button', { name: 'Suppress' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Suppress alerts like this' });
  await dialog.getByRole('textbox', { name: 'More about the reason' }).fill('ticket 4711');
  await dialog.getByText('30 days').click();
  await expect(page).toHaveURL(/suppress=/);
  await page.reload();
  await expect(dialog.getByRole('textbox', { name: 'More about the reason' })).toHaveValue('ticket 4711');
  await expect(dialog.getByRole('radio', { name: '30 days' })).toBeChecked();
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();

  const suppression = {
    id: 'a'.repeat(32),
    rule_id: 'r',
    rule_title: 'A rule <b>with markup</b>',
    unit: 'ward-1',
    host: '',
    fields: [{ name: 'user', value: 'ro\u202eot' }],
    reason: 'known',
    created_by: 'lan',
    created_at: '2026-11-22T00:00:00Z',
    ends_at: '2099-11-22T00:00:00Z',
    ended_at: null,
    ended_by: null,
    active: true,
    match_count: 1,
    event_count: 3,
    last_hidden_at: '2026-11-22T01:00:00Z',
  };
  const hidden = {
    id: 'b'.repeat(32),
    number: 1,
    rule_id: 'r',
    rule_title: suppression.rule_title,
    severity: 'high',
    unit: 'ward-1',
    host: 'web-01',
    event_time: '2026-11-22T00:30:00Z',
    event_count: 3,
    event_id: 'c'.repeat(32),
    raw: '<script>window.hurt = 1</script>',
    hidden_at: '2026-11-22T00:30:01Z',
  };
  await page.route('**/api/v1/suppressions?*', (route) =>
    route.fulfill({ json: { items: [suppression], next_cursor: null } }),
  );
  await page.route('**/api/v1/suppressions/*/hidden*', (route) =>
    route.fulfill({ json: { items: [hidden], next_cursor: null } }),
  );
  await page.goto('/administration/suppressions');
  await page.getByRole('button', { name: 'Show what is hidden' }).click();
  await expect(page).toHaveURL(/open=a+/);
  await expect(page.getByTestId('hidden-match')).toContainText('<script>window.hurt = 1</script>');
  await expect(page.getByTestId('suppression')).toContainText('ro[U+202E]ot');
  expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
});
