import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askEarly, forgetEarly, takeEarly } from './early';

const asked = vi.fn((address: string) => Promise.resolve(new Response(address)));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('fetch', asked);
});

afterEach(() => {
  forgetEarly();
  asked.mockClear();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('what was asked for early is given once', async () => {
  askEarly('/session');
  expect(asked).toHaveBeenCalledTimes(1);
  expect(takeEarly('/incidents?limit=50')).toBeUndefined();
  expect(await (await takeEarly('/session'))?.text()).toBe('/api/v1/session');
  expect(takeEarly('/session')).toBeUndefined();
});

test('an old answer, and one to somebody who was not signed in, is not given', () => {
  askEarly('/session');
  vi.advanceTimersByTime(11_000);
  expect(takeEarly('/session')).toBeUndefined();
  askEarly('/incidents?limit=50');
  forgetEarly();
  expect(takeEarly('/incidents?limit=50')).toBeUndefined();
});

test('who takes it learns that no answer came', async () => {
  asked.mockImplementationOnce(() => Promise.reject(new TypeError('no network')));
  askEarly('/session');
  await expect(takeEarly('/session')).rejects.toThrow('no network');
});
