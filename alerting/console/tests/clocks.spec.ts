import { expect, test } from '@playwright/test';
import { incidentOf, listIncidents, watchTrouble } from './server';

test('a list and an incident show what is due next, and a report stops its clock', async ({ page }) => {
  const trouble = watchTrouble(page);
  const { items } = await listIncidents(page.request);
  const incident = items.find((each) =>
    each.clocks.some(({ name, met_at }) => name === 'report:first' && !met_at),
  );
  if (!incident) throw new Error('the demo has a critical incident that is not reported');
  await page.goto('/incidents');
  await expect(page.getByTestId('next-clock').first()).toContainText(/left|over/);
  await page.goto(`/incidents/${incident.id}`);
  const clock = page.getByTestId('clock').filter({ hasText: 'First report' });
  await expect(clock).toContainText(/left|over/);
  await clock.getByRole('button', { name: 'The report was handed in' }).click();
  await clock.getByRole('textbox', { name: 'Number or place of the report' }).fill('41/BC-ATTT');
  await page.keyboard.press('Enter');
  await expect(clock).toContainText('Reference: 41/BC-ATTT');
  await expect(clock).toContainText(/done/);
  await page.reload();
  await expect(clock).toContainText('Reference: 41/BC-ATTT');
  await expect(page.getByRole('region', { name: 'History' })).toContainText('41/BC-ATTT');
  expect(trouble).toEqual([]);
});

test('a clock that ran out is seen at once, and the list shows those alone', async ({ page }) => {
  const { items } = await listIncidents(page.request);
  const first = items[0];
  if (!first) throw new Error('the demo has incidents');
  const past = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();
  const clocks = [
    { name: 'acknowledge', due_at: past(3), met_at: null },
    { name: 'resolve', due_at: past(-30), met_at: null },
  ];
  const detail = await incidentOf(page.request, first.id);
  await page.route(`**/api/v1/incidents/${first.id}`, (route) =>
    route.fulfill({ json: { ...detail, clocks } }),
  );
  const asked: string[] = [];
  await page.route('**/api/v1/incidents?*', (route) => {
    asked.push(new URL(route.request().url()).searchParams.get('overdue') ?? '');
    return route.fulfill({ json: { items: [{ ...first, clocks }], next_cursor: null, total: 1 } });
  });
  await page.goto('/incidents');
  const row = page.getByTestId('next-clock').first();
  await expect(row).toContainText('Acknowledge: 3 hr over');
  await expect(row).toHaveAttribute('data-state', 'overdue');
  await page.getByRole('combobox', { name: 'State' }).selectOption('Overdue');
  await expect(page).toHaveURL(/state=overdue/);
  await expect.poll(() => asked.at(-1)).toBe('true');
  await page.goto(`/incidents/${first.id}`);
  await expect(page.getByTestId('clock').first()).toContainText('3 hr overdue');
  await expect(page.getByTestId('clock').nth(1)).toContainText(/29 hr left/);
});
