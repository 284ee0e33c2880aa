import { describe, expect, test } from 'vitest';
import { agoText, inputOfMillis, isoOfMillis, localTime, millisOfInput, utcTime } from './time';

describe('times', () => {
  const now = Date.parse('2026-11-22T00:30:00Z');
  test('Indochina Time', () => {
    expect(localTime('2026-11-21T20:15:01.25Z', now)).toBe('22/11 03:15:01');
    expect(localTime('2025-12-31T16:59:59Z', now)).toBe('31/12/2025 23:59:59');
    expect(localTime('2026-11-21T20:15:01.250Z', now, 'milliseconds')).toBe('22/11 03:15:01.250');
    expect(localTime('nonsense', now)).toBe('nonsense');
  });
  test('UTC with every digit', () => {
    expect(utcTime('2026-11-21T20:15:01.123456Z')).toBe('2026-11-21 20:15:01.123456 UTC');
    expect(utcTime('2026-11-22T03:15:01+07:00')).toBe('2026-11-21 20:15:01.000 UTC');
  });
  test('how long ago, in the largest unit that fits', () => {
    expect(agoText(33, 'en')).toBe('33 seconds ago');
    expect(agoText(7_000, 'en')).toBe('2 hours ago');
    expect(agoText(3 * 86_400, 'vi')).toBe('3 ngày trước');
  });
  test('inputs go there and back', () => {
    expect(inputOfMillis(now)).toBe('22/11/2026 07:30:00');
    expect(isoOfMillis(now)).toBe('2026-11-22T07:30:00');
    for (const written of [
      '22/11/2026 07:30:00',
      ' 22-11-2026  7:30 ',
      '2026-11-22T07:30',
      '2026-11-22 07:30:00',
    ])
      expect(millisOfInput(written), written).toBe(now);
    expect(millisOfInput('1/2/2026')).toBe(Date.parse('2026-01-31T17:00:00Z'));
    for (const written of [
      '',
      '22/11',
      '31/02/2026',
      '22/11/2026 24:00',
      '11/22/2026',
      '22/11/2026 7h',
      '22/11/2026 07:30 AM',
    ])
      expect(millisOfInput(written), written).toBeNull();
  });
});
