import { expect, test } from 'vitest';
import type { IncidentDetail } from '../api/types';
import { leadOf } from './lead';

test('who suppresses an incident means the alert that it is called after', () => {
  const alerts = ['guess', 'break-in', 'break-in'].map((rule_id, at) => ({ id: `${at}`, rule_id }));
  const called = (id: string) => leadOf({ alerts, rule: { id } } as unknown as IncidentDetail)?.id;
  expect(called('break-in')).toBe('1');
  expect(called('one that is gone')).toBe('0');
  expect(leadOf({ alerts: [], rule: { id: 'x' } } as unknown as IncidentDetail)).toBeUndefined();
});
