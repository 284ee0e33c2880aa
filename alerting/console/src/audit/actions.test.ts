import { expect, test } from 'vitest';
import { actionWords, failureIn, parameterWords, targetOf } from './actions';

test('what is known has words, what is not has none', () => {
  expect(actionWords('PATCH /api/v1/incidents/{id}')).toBeDefined();
  expect(actionWords('PATCH /api/v2/incidents/{id}')).toBeUndefined();
  expect(actionWords('toString')).toBeUndefined();
  expect(parameterWords('who')).toBeDefined();
  expect(parameterWords('toString')).toBeUndefined();
});

test.each([
  ['PATCH /api/v1/incidents/{id}', '/api/v1/incidents/42', '42'],
  ['POST /api/v1/incidents/{id}/comments', '/api/v1/incidents/42/comments', '42'],
  ['GET /api/v1/entities/{kind}/{value}', '/api/v1/entities/file/%2Fetc%2Fpasswd', 'file · /etc/passwd'],
  ['GET /api/v1/events', '/api/v1/events?q=user%3Aroot+and+a%3D1&cursor=&limit=50', 'q: user:root and a=1'],
  ['GET /api/v1/events', '/api/v1/events?q=a?b', 'q: a?b'],
  ['GET /api/v1/audit', '/api/v1/audit?from=2020-01-01T00%3A00%3A00Z', 'from: 01/01/2020 07:00:00'],
  ['GET /api/v1/entities/{kind}/{value}', '/api/v1/entities/user/100%', 'user · 100%'],
  ['POST /api/v1/session', '/api/v1/session', ''],
  ['citywatch user reset', 'an', 'an'],
  ['a word', 'of its own', ''],
])('%s of %s is about %j', (action, subject, target) => {
  expect(targetOf(action, subject, (name) => name)).toBe(target);
});

test('a failure is told from a body', () => {
  expect(failureIn('entry 12 failed: 403 Forbidden')).toEqual({ entry: '12', status: '403 Forbidden' });
  expect(failureIn('{"reason":"entry 12 failed: 403 Forbidden"}')).toBeUndefined();
});
