import type { Alert, IncidentDetail } from '../api/types';

/** The alert that an incident is called after: who suppresses an incident means that one. */
export function leadOf({ alerts, rule }: IncidentDetail): Alert | undefined {
  return alerts.find(({ rule_id }) => rule_id === rule.id) ?? alerts[0];
}
