import { expect, test } from '@playwright/test';
import { importUnits, watchTrouble } from './server';

test('a person is made, signs in, is moved, shut out, and told a new password', async ({ page, browser }) => {
  const trouble = watchTrouble(page);
  const name = `linh-${Date.now()}`;
  await page.goto('/incidents');
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.getByRole('link', { name: 'People' }).click();
  await page.getByRole('button', { name: 'New person' }).click();
  const form = page.getByRole('dialog', { name: 'New person' });
  await form.getByRole('textbox', { name: 'Name' }).fill('not a name');
  await page.reload();
  await expect(form.getByRole('textbox', { name: 'Name' })).toHaveValue('not a name');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toContainText('must be 1 to 64 letters');
  await form.getByRole('textbox', { name: 'Name' }).fill(name);
  await form.getByRole('combobox', { name: 'Role' }).selectOption('analyst');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toBeHidden();
  const secret = page.getByTestId('secret').locator('code');
  const password = (await secret.textContent()) ?? '';
  const signIn = (with_: string) =>
    browser.newContext().then(async (context) => {
      const answer = await context.request.post(new URL('/api/v1/session', page.url()).href, {
        data: { user: name, password: with_ },
      });
      await context.close();
      return answer.status();
    });
  expect(await signIn(password)).toBe(200);
  const person = page.getByTestId('person').filter({ hasText: name });
  await person.getByRole('button', { name: 'Change' }).click();
  const change = page.getByRole('dialog', { name: `Change ${name}` });
  await change.getByRole('combobox', { name: 'Role' }).selectOption('viewer');
  await change.getByRole('combobox', { name: 'Unit' }).fill('hcmc/ben-thanh');
  await change.getByRole('button', { name: 'Save' }).click();
  await expect(person).toContainText('hcmc/ben-thanh');
  await expect(person).toContainText('viewer');
  await person.getByRole('button', { name: 'New password' }).click();
  await person.getByRole('button', { name: 'Sign out and give a new password' }).click();
  await expect(secret).not.toHaveText(password);
  const second = (await secret.textContent()) ?? '';
  expect(await signIn(password)).toBe(401);
  expect(await signIn(second)).toBe(200);
  await person.getByRole('button', { name: 'Shut out' }).click();
  await expect(person).toContainText('may not sign in');
  expect(await signIn(second)).toBe(401);
  await page.getByRole('searchbox', { name: 'Find a person' }).fill('admin');
  await expect(person).toBeHidden();
  await expect(page.getByText('your own account')).toBeVisible();
  expect(trouble).toEqual([]);
});

test('a token is made, works, and is revoked', async ({ page, playwright, baseURL }) => {
  await page.goto('/administration/tokens');
  await page.getByRole('button', { name: 'New token' }).click();
  const form = page.getByRole('dialog', { name: 'New token' });
  const name = `ticket system ${Date.now()}`;
  await form.getByRole('textbox', { name: 'Name' }).fill(name);
  await form.getByRole('button', { name: 'Make the token' }).click();
  const secret = (await page.getByTestId('secret').locator('code').textContent()) ?? '';
  const program = await playwright.request.newContext({
    baseURL: baseURL ?? '',
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `Bearer ${secret}` },
  });
  expect((await program.get('/api/v1/incidents')).status()).toBe(200);
  const token = page.getByTestId('token').filter({ hasText: name });
  await token.getByRole('button', { name: 'Revoke' }).click();
  await token.getByRole('button', { name: 'Revoke for good' }).click();
  await expect(token).toContainText('revoked');
  expect((await program.get('/api/v1/incidents')).status()).toBe(401);
});

test('units come in as CSV, form a tree, and are found without diacritics', async ({ page }) => {
  await page.goto('/units');
  await page.getByRole('button', { name: 'Import CSV…' }).click();
  const form = page.getByRole('dialog', { name: 'Import units' });
  await form.getByRole('textbox', { name: 'Content' }).fill('id,name\nx,y,z,1');
  await form.getByRole('button', { name: 'Import' }).click();
  await expect(form).toContainText(/line \d+|column/);
  await form
    .getByRole('textbox', { name: 'Content' })
    .fill(
      'id,name,parent\nhcmc,Thành phố Hồ Chí Minh,\nhcmc/ben-thanh,Phường Bến Thành,hcmc\nhcmc/cho-lon,Phường Chợ Lớn,hcmc\n',
    );
  await form.getByRole('button', { name: 'Import' }).click();
  await expect(form).toBeHidden();
  const units = page.getByTestId('unit');
  await expect(units.filter({ hasText: 'Phường Chợ Lớn' })).toBeVisible();
  await page.getByRole('searchbox', { name: 'Find a unit' }).fill('ben thanh');
  await expect(units.filter({ hasText: 'Phường Chợ Lớn' })).toBeHidden();
  await units.filter({ hasText: 'Phường Bến Thành' }).getByRole('link', { name: 'Open incidents' }).click();
  await expect(page).toHaveURL(/unit_below=hcmc/);
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
});

test('a unit is renamed, moved and merged, and keeps its past', async ({ page }) => {
  const trouble = watchTrouble(page);
  const top = `thu-${Date.now()}`;
  await page.goto('/units');
  await page.getByRole('button', { name: 'Import CSV…' }).click();
  const form = page.getByRole('dialog', { name: 'Import units' });
  await form
    .getByRole('textbox', { name: 'Content' })
    .fill(
      `id,name,parent\n${top},Thử,\n${top}/a,Phường An,${top}\n${top}/b,Phường Bình,${top}\n${top}/c,Khu phố 3,${top}/a\n`,
    );
  await form.getByRole('button', { name: 'Import' }).click();
  await expect(form).toBeHidden();

  await page.goto(`/units?open=${encodeURIComponent(`${top}/a`)}`);
  const panel = page.getByTestId('unit-panel');
  await panel.getByRole('button', { name: 'Rename or move…' }).click();
  await expect(page).toHaveURL(/change=edit/);
  const edit = page.getByRole('dialog', { name: 'Rename or move Phường An' });
  await edit.getByRole('textbox', { name: 'Name' }).fill('Phường An Lạc');
  // What was typed survives a reload.
  await page.reload();
  await expect(edit.getByRole('textbox', { name: 'Name' })).toHaveValue('Phường An Lạc');
  // No unit stands below one that is below itself.
  await edit.getByRole('combobox', { name: 'Below' }).fill(`${top}/c`);
  await edit.getByRole('button', { name: 'Save' }).click();
  await expect(edit).toContainText('would stand above itself');
  await edit.getByRole('combobox', { name: 'Below' }).fill(`${top}/b`);
  await edit.getByRole('button', { name: 'Save' }).click();
  await expect(edit).toBeHidden();
  await expect(panel.getByRole('heading', { level: 2 })).toHaveText('Phường An Lạc');
  await expect(panel.getByRole('list', { name: 'Earlier' })).toContainText(`Phường An below ${top}`);
  const depth = (id: string) =>
    page
      .getByTestId('unit')
      .filter({ hasText: id })
      .evaluate((row) => Number.parseInt(getComputedStyle(row).paddingLeft, 10));
  expect(await depth(`${top}/a`)).toBeGreaterThan(await depth(`${top}/b`));

  await page.goto(`/units?open=${encodeURIComponent(`${top}/b`)}`);
  await panel.getByRole('button', { name: 'Merge…' }).click();
  const merge = page.getByRole('dialog', { name: 'Merge Phường Bình into another unit' });
  await expect(merge.getByRole('combobox', { name: 'Taken in by' })).toBeFocused();
  await page.keyboard.type('nowhere');
  await merge.getByRole('button', { name: 'Merge' }).click();
  await expect(merge).toContainText('there is no such unit');
  await merge.getByRole('combobox', { name: 'Taken in by' }).fill(`${top}`);
  await merge.getByRole('button', { name: 'Merge' }).click();
  await expect(merge).toBeHidden();
  // What was below it goes where it went.
  await expect.poll(() => depth(`${top}/a`)).toBe(await depth(`${top}/b`));
  expect(trouble).toEqual([]);
});

test('two administrators do not overwrite each other unseen', async ({ page }) => {
  const top = `hai-${Date.now()}`;
  const { csrf } = await (await page.request.get('/api/v1/session')).json();
  const headers = { 'X-CSRF-Token': csrf };
  const imported = await page.request.put('/api/v1/units', {
    headers: { ...headers, 'Content-Type': 'text/csv' },
    data: `id,name,parent\n${top},Hai,\n${top}/a,Phường An,${top}\n${top}/b,Phường Bình,${top}\n`,
  });
  expect(imported.ok()).toBe(true);
  const path = `/api/v1/units/${encodeURIComponent(`${top}/a`)}`;
  const unit = async () => {
    const { items } = await (await page.request.get('/api/v1/units')).json();
    return items.find(({ id }: { id: string }) => id === `${top}/a`);
  };
  const elsewhere = async (change: object) => {
    const { version } = await unit();
    const answer = await page.request.patch(path, {
      headers: { ...headers, 'If-Match': `"${version}"` },
      data: change,
    });
    expect(answer.ok()).toBe(true);
  };

  await page.goto(`/units?open=${encodeURIComponent(`${top}/a`)}&change=edit`);
  const edit = page.getByRole('dialog', { name: 'Rename or move' });
  await edit.getByRole('textbox', { name: 'Name' }).fill('Phường An Lạc');
  await elsewhere({ name: 'Phường An Nhơn', parent: `${top}/b` });
  await edit.getByRole('button', { name: 'Save' }).click();
  const refusal = edit.getByRole('alert');
  await expect(refusal).toContainText('Somebody else has changed this unit meanwhile');
  await expect(refusal).toContainText(`it is now Phường An Nhơn, below ${top}/b`);
  expect(await unit()).toMatchObject({ name: 'Phường An Nhơn', parent: `${top}/b` });
  // What was typed is still there; what was not touched is as the other left it.
  await expect(edit.getByRole('textbox', { name: 'Name' })).toHaveValue('Phường An Lạc');
  await expect(edit.getByRole('combobox', { name: 'Below' })).toHaveValue(`${top}/b`);
  await edit.getByRole('button', { name: 'Save' }).click();
  await expect(edit).toBeHidden();
  expect(await unit()).toMatchObject({ name: 'Phường An Lạc', parent: `${top}/b` });

  await page.getByTestId('unit-panel').getByRole('button', { name: 'Merge…' }).click();
  const merge = page.getByRole('dialog', { name: 'Merge Phường An Lạc' });
  await merge.getByRole('combobox', { name: 'Taken in by' }).fill(top);
  await elsewhere({ parent: '' });
  await merge.getByRole('button', { name: 'Merge' }).click();
  await expect(merge.getByRole('alert')).toContainText('it is now Phường An Lạc, at the top');
  expect((await unit()).parent).toBe('');
});

test('the tree tells how units stand, and is narrowed to those that need somebody', async ({ page }) => {
  const trouble = watchTrouble(page);
  await importUnits(page.request);
  // Posture of one unit with an agent that fell silent, as the server tells it.
  const silent_since = '2026-11-20T01:00:00Z';
  await page.route('**/api/v1/postures', async (route) => {
    const answer = await route.fetch();
    const { items } = await answer.json();
    const [first, ...others] = items;
    await route.fulfill({ json: { items: [{ ...first, agents: 2, silent: 1, silent_since }, ...others] } });
  });
  const told = page.waitForResponse('**/api/v1/postures');
  await page.goto('/units');
  const { items } = await (await told).json();
  const { items: units } = await (await page.request.get('/api/v1/units')).json();
  const nameOf = (id: string) => units.find((unit: { id: string }) => unit.id === id).name;
  const rows = page.getByTestId('unit');
  const row = rows.filter({ has: page.getByRole('button', { name: nameOf(items[0].id), exact: true }) });
  await expect(row.getByTestId('silent')).toContainText('1 agent silent');
  const [severity, count] = Object.entries<number>(items[0].open)[0] ?? ['', 0];
  await page.getByRole('combobox', { name: 'Which units' }).selectOption('With silent agents');
  await expect(page).toHaveURL(/show=silent/);
  await expect(row).toBeVisible();
  expect(await rows.count()).toBeLessThan(units.length);
  await row.getByRole('link', { name: `${count} open, ${severity}` }).click();
  await expect(page).toHaveURL(new RegExp(`severity=${severity}`));
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
  expect(trouble).toEqual([]);
});

test('the audit log is narrowed by who, what, target and time, all of it in the address', async ({
  page,
}) => {
  await page.request.get('/api/v1/events?q=before');
  const opened = new Date().toISOString();
  await page.request.get('/api/v1/events?q=after');
  await page.goto('/administration/audit');
  const lines = page.getByTestId('audit-entry');
  const form = page.getByRole('form', { name: 'Filter' });
  await form.getByRole('textbox', { name: 'Who' }).fill('nobody-like-that');
  await form.getByRole('button', { name: 'Filter', exact: true }).click();
  await expect(page).toHaveURL(/who=nobody-like-that/);
  await expect(page.getByText('No line like that')).toBeVisible();
  await form.getByRole('textbox', { name: 'Who' }).fill('admin');
  await form.getByRole('combobox', { name: 'What' }).selectOption('searched events');
  const target = form.getByRole('textbox', { name: 'Requested address begins with' });
  await target.fill('/api/v1/events?q=');
  await target.press('Enter');
  await expect(lines.first()).toContainText('/api/v1/events?q=after');
  for (const line of await lines.all()) await expect(line).toContainText('searched events');
  await expect(lines.filter({ hasText: '?q=before' }).first()).toBeVisible();
  await page.goto(`${page.url()}&from=${encodeURIComponent(opened)}`);
  await expect(lines).toHaveCount(1);
  await expect(lines).toContainText('?q=after');
  await page.reload();
  await expect(form.getByRole('textbox', { name: 'Who' })).toHaveValue('admin');
  await expect(lines).toHaveCount(1);
  await form.getByRole('button', { name: 'Show everything' }).click();
  await expect(page).not.toHaveURL(/who=/);
  await expect.poll(() => lines.count()).toBeGreaterThan(1);
  // A name in the list narrows it, too, and Back goes back.
  await lines.first().getByTitle('Only what they did').click();
  await expect(page).toHaveURL(/who=admin/);
  await page.goBack();
  await expect(page).not.toHaveURL(/who=/);
});

test('the audit log tells what was done, as text', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.request.get(`/api/v1/events?q=${encodeURIComponent('<img src=x onerror="window.hurt=1">')}`);
  await page.goto('/administration/audit');
  const lines = page.getByTestId('audit-entry');
  await expect(lines.first()).toBeVisible();
  // In words, and as it was asked.
  const asked = lines.filter({ hasText: 'searched events' }).first();
  await expect(asked).toContainText('admin');
  await expect(asked).toContainText('Search: <img src=x onerror="window.hurt=1">');
  await expect(asked).toContainText('GET /api/v1/events?q=%3Cimg');
  expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
  expect(trouble).toEqual([]);
});

test('/administration leads to its first page', async ({ page }) => {
  await page.goto('/administration');
  await expect(page).toHaveURL(/\/administration\/suppressions$/);
  await expect(page.getByRole('heading', { name: 'Suppressions', level: 1 })).toBeVisible();
});
