import { expect, test } from 'vitest';
import type { Alert, IncidentDetail } from '../api/types';
import { firstDraft, isEmpty, keyOf, offeredFields, targetOf } from './target';

const alert = { id: 'a', rule_id: 'r', group: [] } as unknown as Alert;
const incident = {
  host: 'web-01',
  unit: 'ward-1',
  events: [
    {
      rule_ids: ['r'],
      matched: [
        { name: 'user', value: 'root' },
        { name: '', value: 'a keyword' },
      ],
      fields: [
        { name: 'user', value: 'root' },
        { name: 'pid', value: 4711 },
        { name: 'list', value: ['a'] },
        { name: 'long', value: 'x'.repeat(2_000) },
      ],
    },
    { rule_ids: ['another'], matched: [{ name: 'other', value: 'rule' }], fields: [] },
  ],
} as unknown as IncidentDetail;

test('offered is what matched, then the other fields, each once', () => {
  expect(offeredFields(incident, alert)).toEqual([
    { name: 'user', value: 'root' },
    { name: 'pid', value: '4711' },
  ]);
});

test('the first draft is narrow: the rule on the host', () => {
  const target = targetOf(firstDraft(alert), incident, alert, offeredFields(incident, alert));
  expect(target).toEqual({ rule_id: 'r', host: 'web-01', unit: '', fields: [] });
});

test('of a correlation it is the rule for the group', () => {
  const group = [{ name: 'src_ip', value: '203.0.113.7' }];
  const correlation = { ...alert, group } as Alert;
  const draft = firstDraft(correlation);
  expect(draft.fields).toEqual([keyOf({ name: 'src_ip', value: '203.0.113.7' })]);
  expect(targetOf(draft, incident, correlation, offeredFields(incident, correlation))).toEqual({
    rule_id: 'r',
    host: '',
    unit: '',
    fields: [{ name: 'src_ip', value: '203.0.113.7' }],
  });
});

test('with nothing ticked everything would be hidden', () => {
  const none = { ...firstDraft(alert), rule: false, host: false };
  expect(isEmpty(targetOf(none, incident, alert, []))).toBe(true);
});
