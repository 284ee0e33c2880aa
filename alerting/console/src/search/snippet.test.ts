import { expect, test } from 'vitest';
import type { EventRow } from '../api/types';
import { snippetOf } from './snippet';

const row = (part: Partial<EventRow>) => part as EventRow;
const failed = row({
  message: '',
  command_line: '',
  raw: '{"event":{"code":"4625","action":"logon-failed"},"WorkstationName":"GV-WS-022"}',
  event_code: '4625',
  action: 'login',
  outcome: 'failure',
  user: 'ctmai',
  source_address: '10.20.40.117',
});

test('JSON is told by what it says, other texts as they are', () => {
  expect(snippetOf(failed, null)).toBe('4625 login failure · ctmai · 10.20.40.117');
  expect(snippetOf({ ...failed, message: 'An account failed to log on' }, null)).toBe(
    'An account failed to log on',
  );
  expect(snippetOf(row({ message: '', raw: 'GET / HTTP/1.1', action: 'get' }), null)).toBe('GET / HTTP/1.1');
  // JSON of which nothing is known is at least shown.
  expect(snippetOf(row({ raw: '{"a":1}' }), null)).toBe('{"a":1}');
});

test('what was found is shown, wherever it stands', () => {
  expect(snippetOf(failed, /ctmai/)).toContain('ctmai');
  expect(snippetOf(failed, /GV-WS/)).toContain('GV-WS-022');
  // The host has a column of its own.
  const named = { ...failed, host: 'gv-dc-01', raw: '{"name":"gv-dc-01"}' };
  expect(snippetOf(named, /gv-dc/)).toBe('4625 login failure · ctmai · 10.20.40.117');
});
