import { expect, test } from 'vitest';
import { Unanswered } from './unanswered';

function storage(): Storage {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  } as unknown as Storage;
}

test('a request keeps its key until there is an answer, over a reload, too', () => {
  const kept = storage();
  const first = new Unanswered(() => kept).keyFor('POST /a {}');
  expect(new Unanswered(() => kept).keyFor('POST /a {}')).toBe(first);
  expect(new Unanswered(() => kept).keyFor('POST /a {"b":1}')).not.toBe(first);
  new Unanswered(() => kept).answered('POST /a {}');
  expect(new Unanswered(() => kept).keyFor('POST /a {}')).not.toBe(first);
});

test('keys end with what the server keeps, and are few', () => {
  const kept = storage();
  let now = 0;
  const unanswered = new Unanswered(
    () => kept,
    () => now,
  );
  const first = unanswered.keyFor('POST /a');
  now = 25 * 3_600_000;
  expect(unanswered.keyFor('POST /a')).not.toBe(first);
  const early = unanswered.keyFor('POST /early');
  for (let at = 0; at < 60; at++) unanswered.keyFor(`POST /${at}`);
  expect(unanswered.keyFor('POST /early')).not.toBe(early);
  kept.setItem('citywatch.unanswered', 'no JSON');
  expect(unanswered.keyFor('POST /a')).toMatch(/^[0-9a-f-]{36}$/);
});
