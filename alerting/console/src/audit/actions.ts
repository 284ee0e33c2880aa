/** Words for what the audit log names by method and path, and what was meant by it. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { paths } from '../api/schema';
import { localTime, millisOf } from '../text/time';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Routes<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends undefined ? never : `${Uppercase<M>} ${P}`;
}[keyof paths];
/** What is done with the command on the machine itself; it is about whom it names. */
const ON_THE_MACHINE = 'citywatch user reset';
type Changing = typeof ON_THE_MACHINE | Routes<'post'> | Routes<'put'> | Routes<'patch'> | Routes<'delete'>;

/** Whatever changes something has words, or this does not compile; of what reads, that which is recorded. */
const ACTION_WORDS: Record<Changing, MessageDescriptor> & Partial<Record<Routes<'get'>, MessageDescriptor>> =
  {
    [ON_THE_MACHINE]: msg`gave a new password on the machine itself`,
    'POST /api/v1/session': msg`sign-in`,
    'DELETE /api/v1/session': msg`signed out`,
    'PUT /api/v1/session/password': msg`changed the own password`,
    'GET /api/v1/incidents/{id}': msg`opened an incident`,
    'PATCH /api/v1/incidents/{id}': msg`changed an incident`,
    'POST /api/v1/incidents/{id}/comments': msg`commented on an incident`,
    'POST /api/v1/incidents/{id}/reports': msg`noted a report of an incident`,
    'POST /api/v1/incidents/{id}/merge': msg`merged incidents`,
    'POST /api/v1/incidents/bulk': msg`changed several incidents`,
    'POST /api/v1/incidents/bulk/undo': msg`took a change of incidents back`,
    'GET /api/v1/incidents/{id}/explanations': msg`looked at why the rules matched`,
    'GET /api/v1/entities/{kind}/{value}': msg`looked at a host, user, address or file`,
    'GET /api/v1/events': msg`searched events`,
    'GET /api/v1/events/fields': msg`looked at the fields of events`,
    'GET /api/v1/events/histogram': msg`looked at events over time`,
    'GET /api/v1/events/{id}': msg`opened an event`,
    'GET /api/v1/events/{id}/neighbours': msg`looked at the neighbours of an event`,
    'PATCH /api/v1/rules/{id}': msg`switched a rule`,
    'POST /api/v1/suppressions': msg`set a suppression`,
    'POST /api/v1/suppressions/preview': msg`previewed a suppression`,
    'DELETE /api/v1/suppressions/{id}': msg`ended a suppression`,
    'GET /api/v1/suppressions/{id}/hidden': msg`looked at what a suppression hid`,
    'POST /api/v1/views': msg`saved a view`,
    'PUT /api/v1/views/{id}': msg`changed a view`,
    'DELETE /api/v1/views/{id}': msg`deleted a view`,
    'PUT /api/v1/units': msg`imported units`,
    'PATCH /api/v1/units/{id}': msg`renamed or moved a unit`,
    'POST /api/v1/units/{id}/merge': msg`merged units`,
    'GET /api/v1/users': msg`looked at the list of people`,
    'POST /api/v1/users': msg`added a person`,
    'PATCH /api/v1/users/{id}': msg`changed a person`,
    'POST /api/v1/users/{id}/password': msg`gave a new password`,
    'GET /api/v1/tokens': msg`looked at the list of tokens`,
    'POST /api/v1/tokens': msg`made a token`,
    'DELETE /api/v1/tokens/{id}': msg`revoked a token`,
    'GET /api/v1/notifications/routes': msg`looked at the notification routes`,
    'POST /api/v1/notifications/routes': msg`added a notification route`,
    'PUT /api/v1/notifications/routes/{id}': msg`changed a notification route`,
    'DELETE /api/v1/notifications/routes/{id}': msg`removed a notification route`,
    'POST /api/v1/notifications/routes/{id}/secret': msg`renewed a webhook's secret`,
    'POST /api/v1/notifications/routes/{id}/test': msg`sent a test message`,
    'POST /api/v1/notifications/messages/{id}/retry': msg`sent a message again`,
    'GET /api/v1/audit': msg`looked at the audit log`,
  };

/** Those that there are words for. */
export const ACTIONS = Object.keys(ACTION_WORDS);

/** What was done; `undefined` for what only a newer server knows. */
export function actionWords(action: string): MessageDescriptor | undefined {
  return Object.hasOwn(ACTION_WORDS, action) ? ACTION_WORDS[action as keyof typeof ACTION_WORDS] : undefined;
}

/** How much of a list was asked for, not what. */
const PAGING = ['limit', 'cursor'];

/** What a list may be asked for; other names stand as they are. */
const PARAMETER_WORDS: Record<string, MessageDescriptor> = {
  q: msg`Search`,
  from: msg`From`,
  to: msg`To`,
  who: msg`Who`,
  action: msg`What`,
  subject: msg`Requested address begins with`,
  state: msg`State`,
  severity: msg`Severity`,
  unit: msg`Unit`,
  host: msg`Host`,
  rule: msg`Rule`,
  sort: msg`Order`,
};

/** The words for the name of what was asked with an action. */
export function parameterWords(name: string): MessageDescriptor | undefined {
  return Object.hasOwn(PARAMETER_WORDS, name) ? PARAMETER_WORDS[name] : undefined;
}

/**
 * What an action was about: what stood for the braces of its path, then what was asked with it, by the names that
 * `nameOf` gives, times as read here.
 */
export function targetOf(action: string, subject: string, nameOf: (name: string) => string): string {
  if (action === ON_THE_MACHINE) return subject;
  const pattern = action.slice(action.indexOf(' ') + 1).split('/');
  const mark = subject.indexOf('?');
  const path = mark < 0 ? subject : subject.slice(0, mark);
  const meant = path.split('/').filter((_, at) => pattern[at]?.startsWith('{'));
  const query = mark < 0 ? '' : subject.slice(mark);
  const asked = [...new URLSearchParams(query)].filter(
    ([name, value]) => value !== '' && !PAGING.includes(name),
  );
  return [
    ...meant.map(decoded),
    ...asked.map(
      ([name, value]) => `${nameOf(name)}: ${isTime(value) ? localTime(value, Date.now()) : value}`,
    ),
  ].join(' · ');
}

function isTime(value: string): boolean {
  return /^\d{4}-\d{2}-\d{2}T/.test(value) && millisOf(value) !== null;
}

/** What the server says of an entry that failed: its number, and the status of the answer. */
export function failureIn(detail: string): { entry: string; status: string } | undefined {
  const [, entry, status] = /^entry (\d+) failed: (.+)$/.exec(detail) ?? [];
  return entry && status ? { entry, status } : undefined;
}

/** As it was meant, or as it stands where it is no valid encoding. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
