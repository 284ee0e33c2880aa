import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@playwright/test';
import { watchTrouble } from './server';

test('a webhook is made, tried, changed and removed', async ({ page }) => {
  const trouble = watchTrouble(page);
  const got: { signature: string; body: string }[] = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      got.push({ signature: String(request.headers['x-citywatch-signature']), body });
      response.end('ok');
    });
  });
  await new Promise<void>((ready) => receiver.listen(0, '127.0.0.1', ready));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;

  await page.goto('/administration/notifications');
  await page.getByRole('button', { name: 'New webhook' }).click();
  const form = page.getByRole('dialog', { name: 'New route by webhook' });
  await expect(form.getByRole('textbox', { name: 'Name' })).toBeFocused();
  await page.keyboard.type('Duty room');
  await form.getByRole('textbox', { name: 'URL' }).fill('chat.test');
  await form.getByRole('textbox', { name: /^Template/ }).fill('{"text":"{{count}} {{nothing}}"}');
  await page.reload();
  await expect(form.getByRole('textbox', { name: 'Name' })).toHaveValue('Duty room');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.getByText('must begin with https:// or http://')).toBeVisible();
  await form.getByRole('textbox', { name: 'URL' }).fill(url);
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form.getByText('unknown name {{nothing}}')).toBeVisible();
  await form.getByRole('textbox', { name: /^Template/ }).fill('{"text":"{{count}} of Citywatch"}');
  await form.getByRole('button', { name: 'Save' }).click();
  await expect(form).toBeHidden();
  await expect(page.getByTestId('secret').locator('code')).toHaveText(/.{20,}/);

  const route = page.getByTestId('route').filter({ hasText: 'Duty room' });
  await route.getByRole('button', { name: 'Send a test' }).click();
  const message = page.getByTestId('message').filter({ hasText: 'Duty room' }).first();
  await expect(message).toContainText('sent');
  expect(got.map(({ body }) => body)).toEqual(['{"text":"1 of Citywatch"}']);
  expect(got[0]?.signature).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/);

  await route.getByRole('button', { name: 'Change' }).click();
  const change = page.getByRole('dialog', { name: 'Change the route' });
  await change.getByRole('switch', { name: 'Switched on' }).click({ force: true });
  await change.getByRole('button', { name: 'Save' }).click();
  await expect(route).toContainText('switched off');
  await route.getByRole('button', { name: 'Remove' }).click();
  await route.getByRole('button', { name: 'Remove for good' }).click();
  await expect(page.getByTestId('route')).toHaveCount(0);
  await expect(page.getByTestId('message').first()).toContainText('a route that was removed');
  receiver.close();
  expect(trouble).toEqual([]);
});
