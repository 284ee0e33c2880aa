import { expect, test } from 'vitest';
import { bytesText, healthOf } from './health';

test('what matters is found where it is', () => {
  const health = healthOf({
    ready: true,
    version: '0.1.0',
    uptime_s: 5,
    parts: { engine: { state: 'running', detail: 'parses', said: { code: 'engine_works' }, retries: 2 } },
    totals: { records_in: 7, dead_letters: 1, events_with_problems: 2, retries: 0 },
    rates_per_s: { records_in: 1.5 },
    details: {
      queues: [{ name: 'transport', waiting: 3, capacity: 8 }],
      agent: {
        sources: [{ path: '/var/log/x', state: 'reading', lag_bytes: 9, last_error: null }],
        sink: { spool: { dropped_records: 4 } },
      },
      agents: {
        agents: [
          { agent: 'a', silent: true, heard_s_ago: 70, dropped: 2, clock_seen_offset_us: -1500 },
          { agent: 'b', silent: true, heard_s_ago: 259_200, heard_since_start: false },
          { agent: 'c', certificate_until: 1_795_000_000 },
        ],
      },
      room: { used_percent: 12, disk_free_bytes: 10, is_paused: false },
    },
  });
  expect(health.stages).toEqual([
    { name: 'engine', state: 'running', detail: 'parses', said: { code: 'engine_works' }, retries: 2 },
  ]);
  expect(health.figures).toEqual([{ name: 'records_in', perSecond: 1.5, total: 7 }]);
  expect(
    health.troubles.filter(({ count }) => count > 0).map(({ name, count }) => `${name} ${count}`),
  ).toEqual(['agents_silent 2', 'dead_letters 1', 'events_with_problems 2', 'dropped 6']);
  expect(health.agents[0]).toMatchObject({ agent: 'a', silent: true, clockOffsetMs: -1 });
  expect(health.agents.map(({ heardSinceStart }) => heardSinceStart)).toEqual([true, false, true]);
  expect(health.agents[2]?.certificateUntil).toBe('2026-11-18T11:06:40.000Z');
  expect(health.disk?.usedPercent).toBe(12);
  expect(health.sources[0]?.lagBytes).toBe(9);
});

test('a status without any of it is a status, too', () => {
  const health = healthOf({ details: [], parts: null });
  expect(health.ready).toBe(false);
  expect([health.stages, health.agents, health.queues, health.rules, health.disk]).toEqual([
    [],
    [],
    [],
    null,
    null,
  ]);
});

test('bytes in the largest unit that is at least one', () => {
  expect(bytesText(0, 'en')).toBe('0 B');
  expect(bytesText(999, 'en')).toBe('999 B');
  expect(bytesText(1_540_000, 'en')).toBe('1.5 MB');
  expect(bytesText(58_113_536_000, 'vi')).toBe('58 GB');
});
