import { expect, test } from '@playwright/test';
import { credentials, SESSION_FILE } from './server';

test('asks for name and password, says when they are wrong, and leads to where one wanted to go', async ({
  page,
}) => {
  const { user, password } = credentials();
  await page.goto('/incidents?state=new');
  await expect(page.locator('html')).toHaveAttribute('lang', 'vi');
  await page.getByLabel('Tên đăng nhập').fill(user);
  await page.getByLabel('Mật khẩu', { exact: true }).fill(`${password} but not quite`);
  await page.getByRole('button', { name: 'Đăng nhập' }).click();
  await expect(page.getByRole('alert')).toContainText('không đúng');
  await expect(page.getByLabel('Mật khẩu', { exact: true })).toBeFocused();

  await page.getByLabel('Mật khẩu', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Sự cố' })).toBeVisible();
  await expect(page).toHaveURL(/\/incidents\?state=new/);

  await page.getByRole('button', { name: 'English' }).click();
  await expect(page.getByRole('heading', { name: 'Incidents' })).toBeVisible();
  await page.context().storageState({ path: SESSION_FILE });
});

test('a session that ends asks again in place and loses nothing', async ({ page }) => {
  const { user, password } = credentials();
  await page.goto('/search?range=all');
  await page.getByLabel('Tên đăng nhập').fill(user);
  await page.getByLabel('Mật khẩu', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  const box = page.getByRole('combobox', { name: 'Nội dung cần tìm' });
  // Nothing is on its way any more that would notice the end of the session first.
  await expect(page.getByTestId('field').first()).toBeVisible();
  await expect(page.getByRole('slider')).toBeVisible();
  await box.fill('typed and not yet searched');

  await page.context().clearCookies();
  await page.getByRole('link', { name: 'Hệ thống' }).click();
  await expect(page.getByText('Phiên làm việc đã hết hạn')).toBeVisible();
  await page.goBack();
  await page.getByLabel('Mật khẩu', { exact: true }).fill(password);
  await page.keyboard.press('Enter');
  await expect(page.getByText('Phiên làm việc đã hết hạn')).toBeHidden();
  await expect(page).toHaveURL(/\/search\?range=all/);
  await expect(box).toHaveValue('typed and not yet searched');

  await page.getByRole('button', { name: new RegExp(user) }).click();
  await page.getByRole('menuitem', { name: 'Đăng xuất' }).click();
  await expect(page.getByLabel('Tên đăng nhập')).toBeVisible();
  await page.reload();
  await expect(page.getByLabel('Tên đăng nhập')).toBeVisible();
});
