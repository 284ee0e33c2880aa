/** What a suppression can be made of, read from an alert and its events. */
import type { Alert, IncidentDetail, SuppressionField, SuppressionTarget } from '../api/types';
import { valueText } from '../text/values';

/** What is ticked in the dialog. */
export interface Draft {
  rule: boolean;
  host: boolean;
  unit: boolean;
  /** Ticked fields, by {@link keyOf}. */
  fields: string[];
  reason: string;
  words: string;
  /** A key of `SPANS`. */
  span: string;
}

/** A value cut on its way would never be met again. */
const VALUE_CHARS_MAX = 1_000;
const OFFERED_MAX = 40;

export function keyOf(field: SuppressionField): string {
  return JSON.stringify([field.name, field.value]);
}

/** The fields to choose from: the group of a correlation, what matched, then all else of the events. */
export function offeredFields(incident: IncidentDetail, alert: Alert): SuppressionField[] {
  const events = incident.events.filter((event) => event.rule_ids.includes(alert.rule_id));
  const candidates = [
    ...alert.group,
    ...events.flatMap((event) => event.matched),
    ...events.slice(0, 1).flatMap((event) => event.fields),
  ];
  const offered = new Map<string, SuppressionField>();
  for (const { name, value } of candidates) {
    if (name === '' || value === null || typeof value === 'object') continue;
    const field = { name, value: valueText(value) };
    if (field.value === '' || field.value.length > VALUE_CHARS_MAX) continue;
    offered.set(keyOf(field), field);
    if (offered.size >= OFFERED_MAX) break;
  }
  return [...offered.values()];
}

/** The narrowest guess: this rule on this host; of a correlation, this rule for this group. */
export function firstDraft(alert: Alert): Draft {
  const group = alert.group.map(({ name, value }) => keyOf({ name, value: valueText(value) }));
  return {
    rule: true,
    host: group.length === 0,
    unit: false,
    fields: group,
    reason: '',
    words: '',
    span: 'week',
  };
}

export function targetOf(
  draft: Draft,
  incident: IncidentDetail,
  alert: Alert,
  offered: SuppressionField[],
): SuppressionTarget {
  const ticked = new Set(draft.fields);
  return {
    rule_id: draft.rule ? alert.rule_id : '',
    host: draft.host ? incident.host : '',
    unit: draft.unit ? incident.unit : '',
    fields: offered.filter((field) => ticked.has(keyOf(field))),
  };
}

export function isEmpty(target: SuppressionTarget): boolean {
  return !target.rule_id && !target.host && !target.unit && target.fields.length === 0;
}
