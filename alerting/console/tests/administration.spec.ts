import { expect, test } from '@playwright/test';
import { watchTrouble } from './server';

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
  await expect(page).toHaveURL(/unit=hcmc/);
  await expect(page.locator('a[data-row="0"]')).toBeVisible();
});

test('the audit log tells what was done, as text', async ({ page }) => {
  const trouble = watchTrouble(page);
  await page.request.get(`/api/v1/events?q=${encodeURIComponent('<img src=x onerror="window.hurt=1">')}`);
  await page.goto('/administration/audit');
  const lines = page.getByTestId('audit-entry');
  await expect(lines.first()).toBeVisible();
  await expect(lines.filter({ hasText: 'GET /api/v1/events' }).first()).toContainText('admin');
  await page.getByRole('searchbox', { name: 'Find in what is loaded' }).fill('no such line');
  await expect(page.getByText('No line like that')).toBeVisible();
  expect(await page.evaluate(() => 'hurt' in window)).toBe(false);
  expect(trouble).toEqual([]);
});
