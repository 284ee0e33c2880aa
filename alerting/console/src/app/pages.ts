/** The pages and who may see them: the ways in the frame, under Administration and in the command palette. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { type IncidentFilter, QUEUE } from '../api/incidentFilter';
import type { IconName } from './icons';
import type { RoleName } from './roles';

export interface PageWay {
  to:
    | '/incidents'
    | '/search'
    | '/rules'
    | '/units'
    | '/attack'
    | '/status'
    | '/administration/people'
    | '/administration/tokens'
    | '/administration/audit'
    | '/administration/suppressions'
    | '/administration/notifications';
  /** What its address says when one comes by this way. */
  search?: IncidentFilter;
  words: MessageDescriptor;
  least: RoleName;
}

export const PAGES: (PageWay & { icon: IconName })[] = [
  { to: '/incidents', search: QUEUE, words: msg`Incidents`, icon: 'incidents', least: 'viewer' },
  { to: '/search', words: msg`Search`, icon: 'search', least: 'viewer' },
  { to: '/rules', words: msg`Rules`, icon: 'rules', least: 'viewer' },
  { to: '/attack', words: msg`ATT&CK`, icon: 'attack', least: 'viewer' },
  { to: '/units', words: msg`Units`, icon: 'units', least: 'viewer' },
  { to: '/status', words: msg`Status`, icon: 'status', least: 'viewer' },
];

export const ADMINISTRATION_PAGES: PageWay[] = [
  { to: '/administration/suppressions', words: msg`Suppressions`, least: 'viewer' },
  { to: '/administration/notifications', words: msg`Notifications`, least: 'administrator' },
  { to: '/administration/people', words: msg`People`, least: 'administrator' },
  { to: '/administration/tokens', words: msg`Tokens`, least: 'administrator' },
  { to: '/administration/audit', words: msg`Audit log`, least: 'administrator' },
];
