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
  await expect(form.getByText('is no URL; write it like https://')).toBeVisible();
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

test('a receiver that cannot be reached is told of in words, until something gets through', async ({
  page,
}) => {
  const { csrf } = await (await page.request.get('/api/v1/session')).json();
  const receiver = createServer((_, response) => response.end('ok'));
  await new Promise<void>((ready) => receiver.listen(0, '127.0.0.1', ready));
  const { port } = receiver.address() as AddressInfo;
  // From now on nobody listens there.
  await new Promise((closed) => receiver.close(closed));
  const made = await page.request.post('/api/v1/notifications/routes', {
    headers: { 'X-CSRF-Token': csrf },
    data: {
      name: 'Ticketing',
      kind: 'webhook',
      target: `http://127.0.0.1:${port}/hook`,
      severity_min: 'critical',
    },
  });
  const { id } = await made.json();
  await page.goto('/administration/notifications');
  const route = page.getByTestId('route').filter({ hasText: 'Ticketing' });
  await expect(route.getByTestId('route-trouble')).toHaveCount(0);
  await route.getByRole('button', { name: 'Send a test' }).click();
  const told = route.getByTestId('route-trouble');
  await expect(told).toContainText(
    'The receiver cannot be reached. Nothing has got through to Ticketing since',
  );
  await expect(told).toContainText('1 notification waits.');
  await expect(told).toContainText('Nothing is lost; it is tried again');
  await expect(told).toContainText('whether a firewall lets this server through');
  await expect(told).toContainText(`127.0.0.1:${port}`);
  await expect(page.getByTestId('message').filter({ hasText: 'Ticketing' })).toContainText(
    'The receiver cannot be reached.',
  );
  await page.getByRole('button', { name: 'VI: Tiếng Việt' }).click();
  await expect(told).toContainText('Không kết nối được tới nơi nhận.');

  const again = createServer((_, response) => response.end('ok'));
  await new Promise<void>((ready) => again.listen(port, '127.0.0.1', ready));
  await expect(told).toHaveCount(0);
  await page.request.delete(`/api/v1/notifications/routes/${id}`, { headers: { 'X-CSRF-Token': csrf } });
  again.close();
});
