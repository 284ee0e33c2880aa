import { expect, test } from 'vitest';
import { incidentFilter, incidentPagePath } from './incidentFilter';

const pathOf = (address: string) =>
  incidentPagePath(incidentFilter(Object.fromEntries(new URLSearchParams(address))), null, 50);

test('the address of the page says what the server is asked for', () => {
  expect(pathOf('')).toBe('/incidents?limit=50');
  expect(pathOf('?state=open&severity=high')).toBe('/incidents?limit=50&severity=high&state=open');
  expect(pathOf('?state=overdue&rule=guess&sort=score&panel=i1&at=i1')).toBe(
    '/incidents?limit=50&sort=score&rule_id=guess&overdue=true',
  );
  expect(pathOf('?state=all&sort=newest&host=')).toBe('/incidents?limit=50');
});
