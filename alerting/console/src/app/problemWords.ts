/**
 * Words for what the server refuses, by the codes of its OpenAPI document. A code without words does not compile, and
 * a parameter that is no more neither; what a newer server says in codes that are unknown here is shown as it says it.
 */
import { i18n, type MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { FieldError, FieldFault, Problem, Refusal } from '../api/types';
import { plain } from '../text/hostile';
import type { RoleName } from './roles';
import { ROLE_WORDS } from './words';

type Said = { code: string };
type WordsFor<S extends Said> = { [C in S['code']]: (said: Extract<S, { code: C }>) => MessageDescriptor };

const say = (words: MessageDescriptor) => i18n._(words);
const list = (names: string[]) => plain(names.join(', '));

function roleWord(name: string): string {
  const words = ROLE_WORDS[name as RoleName];
  return words ? say(words) : plain(name);
}

type Thing = Extract<Refusal, { code: 'missing' }>['thing'];

const MISSING_WORDS: Record<Thing, MessageDescriptor> = {
  incident: msg`There is no such incident, or it is outside of your units: one that another office's alert joined belongs to the unit above both.`,
  event: msg`There is no such event, or it is outside of your units.`,
  entity: msg`Nothing is known of it, or only outside of your units.`,
  rule: msg`There is no such rule, or it raised nothing in your units.`,
  unit: msg`There is no such unit, or it is outside of your units.`,
  suppression: msg`There is no such suppression, or it is outside of your units.`,
  view: msg`There is no such view. Perhaps it was removed in another window.`,
  user: msg`There is no such person, or it is outside of your units.`,
  token: msg`There is no such token, or it is outside of your units.`,
  notification_route: msg`There is no such notification route, or it is outside of your units.`,
  message: msg`There is no such message, or it is outside of your units.`,
};

export const REFUSAL_WORDS: WordsFor<Refusal> = {
  wrong_input: () => msg`Something in it is wrong.`,
  unreadable: ({ error }) => msg`The request cannot be read: ${plain(error)}`,
  signed_out: () => msg`You are not signed in, or your session has ended: sign in.`,
  wrong_name_or_password: () => msg`User name or password is wrong.`,
  role_too_low: ({ needed, yours }) => {
    const [wanted, own] = [roleWord(needed), roleWord(yours)];
    return msg`This needs the role ${wanted}; yours is ${own}. Ask an administrator.`;
  },
  foreign_page: () => msg`The request comes from a page of another site.`,
  wrong_csrf_token: () => msg`The session is another one by now. Reload the page, then try again.`,
  not_for_tokens: () => msg`This is for people, not for tokens.`,
  own_account: () => msg`Another administrator must change your account.`,
  tree_of_whole_city: () => msg`Only who sees the whole city changes its tree of units.`,
  rules_of_whole_city: () =>
    msg`A rule is switched for the whole city, and you see a part of it: set a suppression for your unit.`,
  audit_of_whole_city: () => msg`The audit log is about the whole city; you see a part of it.`,
  missing: ({ thing }) => MISSING_WORDS[thing],
  no_such_address: () =>
    msg`The server does not know this request. Reload the page: it may be older than the server.`,
  wrong_method: () =>
    msg`The server does not know this request. Reload the page: it may be older than the server.`,
  merged: () => msg`The incident was merged into another: open that one.`,
  name_taken: ({ name }) => msg`There is a person ${plain(name)} already: choose another name.`,
  view_name_taken: () =>
    msg`You have a view of that name for this screen: change that one, or choose another name.`,
  verdict_needed: () =>
    msg`A closed incident needs a verdict: choose another one, or reopen the incident first.`,
  reported_before: () => msg`This report was handed in before: look at the history.`,
  not_signed: () => msg`Only webhooks are signed; this route sends e-mail.`,
  not_given_up: () =>
    msg`This message was not given up: it was sent, or it waits and is tried again by itself.`,
  too_many_suppressions: () => msg`Too many suppressions hold at once: end some that are no longer needed.`,
  ended_before: () => msg`This suppression has ended already.`,
  still_running: () => msg`The same request is still being worked on. Wait a moment, then try again.`,
  outcome_unknown: () =>
    msg`The server stopped while it worked on this, so it is not known whether it was done. Look, then try again if it is needed.`,
  key_used_before: () => msg`This request was mixed up with another one. Try again.`,
  changed_meanwhile: () => msg`Somebody changed this since you read it: read it again, then decide.`,
  too_long: ({ bytes_max }) => msg`The request is longer than ${bytes_max} bytes.`,
  not_called_so: ({ host }) =>
    msg`This site is not called ${plain(host)}. Add the name to [alerting] host_names if it should be.`,
  version_missing: () =>
    msg`The request does not say which version you saw. Reload the page, then try again.`,
  too_many_passwords: ({ minutes }) => msg`Too many wrong passwords. Try again in ${minutes} min.`,
  database_away: () => msg`The database of incidents does not answer. Nothing was changed; try again.`,
  store_not_set: () =>
    msg`There is no event store: set [store] url in the configuration. Incidents work without.`,
  store_away: () =>
    msg`The event store does not answer in time. Narrow the time range, or try again. Incidents work without.`,
  store_refused: () => msg`The event store refused the search. The log of the server says why.`,
  too_many_followers: () => msg`Too many pages follow the incidents; it is tried again.`,
  timed_out: () =>
    msg`This took longer than 30 seconds and was given up. Look whether it was done, or ask for less.`,
};

type LineFault = Extract<FieldFault, { code: 'line' }>['fault'];

const LINE_WORDS: Record<LineFault, MessageDescriptor> = {
  open_quote: msg`a quote is not closed`,
  no_header: msg`the first line must be: id,name,parent`,
  not_three_fields: msg`three fields are needed`,
  empty: msg`id and name must not be empty`,
  bad_id: msg`an id is 1 to 64 letters, digits or any of - _ . with / between its parts, like hcmc/ben-thanh`,
  twice: msg`this id stood in an earlier line`,
  too_many: msg`these are too many units`,
};

type SearchFault = Extract<FieldFault, { code: 'search' }>['fault'];

const SEARCH_WORDS: Record<SearchFault, MessageDescriptor> = {
  too_long: msg`The search is longer than 2,000 bytes.`,
  unexpected_close: msg`This parenthesis closes nothing: take it away, or open one before it.`,
  open_quote: msg`This quote is not closed: write another " at its end.`,
  open_parenthesis: msg`This parenthesis is not closed: write a ) at its end.`,
  missing_operand: msg`Something must stand on both sides of "and" and "or", and after "not".`,
  missing_value: msg`A value must follow the colon, without a space: user:root.`,
  bad_address: msg`This is no address: write it like 10.0.0.5 or 10.0.0.0/8.`,
  bad_number: msg`This is no port: write it like 443 or >1024.`,
  too_deep: msg`Here are too many parentheses within parentheses.`,
  too_many: msg`These are too many words and fields: 64 at most.`,
};

export const FIELD_WORDS: WordsFor<FieldFault> = {
  missing: () => msg`is missing`,
  malformed: ({ error }) => msg`cannot be read: ${plain(error)}`,
  empty: () => msg`must not be empty`,
  too_long: ({ bytes_max }) => msg`must not be longer than ${bytes_max} bytes`,
  length: ({ bytes_min, bytes_max }) => msg`must be ${bytes_min} to ${bytes_max} bytes long`,
  count: ({ min, max }) => msg`must be ${min} to ${max} in number`,
  range: ({ min, max }) => msg`must be from ${min} to ${max}`,
  unknown: ({ given, known }) => msg`${plain(given)} is unknown; one of: ${list(known)}`,
  no_cursor: () => msg`The list cannot go on from here: reload the page.`,
  no_time: ({ given }) => msg`${plain(given)} is no time; write it like 2026-11-22T03:04:05Z`,
  from_after_to: () => msg`the beginning lies after the end: swap them, or leave one out`,
  past: () => msg`must lie in the future`,
  too_far: ({ days_max }) => msg`must not be more than ${days_max} days away`,
  no_version: () => msg`is no version: reload the page, then try again`,
  no_entity: () => msg`write it like address:203.0.113.7`,
  no_such_person: ({ name }) => msg`nobody is called ${plain(name)}`,
  may_not_work_on_it: ({ name }) =>
    msg`${plain(name)} may not work on it: it is outside of their units, or they only look`,
  no_such_unit: () => msg`there is no such unit`,
  outside_units: () => msg`is not within your own units`,
  unit_needed: () => msg`name a unit: you see a part of the city only`,
  itself: () => msg`is the same as what takes it in`,
  hides_everything: () => msg`name a rule, a unit, a host or a field: this would hide everything`,
  fixed: () => msg`cannot be changed: make another route`,
  no_user_name: () => msg`must be 1 to 64 letters, digits or any of . _ @ -`,
  short_password: ({ characters_min }) => msg`must have ${characters_min} characters or more`,
  wrong_password: () => msg`is wrong`,
  no_mail_server: () =>
    msg`there is no mail server: set [alerting.notifications.smtp] in the configuration first`,
  no_mail_address: ({ given }) => msg`${plain(given)} is no mail address`,
  no_url: () => msg`is no URL; write it like https://chat.example.vn/hook`,
  url_with_password: () => msg`must hold no name and password: the signature says who sends`,
  template_name: ({ given, known }) => {
    const name = `{{${plain(given)}}}`;
    return msg`unknown name ${name}; one of: ${list(known)}`;
  },
  template_open: ({ opened, close }) => msg`${opened} is not closed by ${close}`,
  template_no_json: ({ error }) => msg`makes no JSON: ${plain(error)}`,
  line: ({ line, fault }) => {
    const what = say(LINE_WORDS[fault]);
    return msg`line ${line}: ${what}`;
  },
  unit_loop: ({ unit }) => msg`the unit ${plain(unit)} would stand above itself, or deeper than 32 levels`,
  unknown_parent: ({ unit, parent }) => msg`the unit ${plain(unit)} has the unknown parent ${plain(parent)}`,
  search: ({ fault }) => SEARCH_WORDS[fault],
};

/** The words for a code, or what the server said where this page has none. */
function inWords<S extends Said>(words: WordsFor<S>, said: S | undefined, otherwise: string): string {
  const find: ((said: never) => MessageDescriptor | undefined) | undefined =
    said && words[said.code as S['code']];
  const found = find?.(said as never);
  return found ? say(found) : plain(otherwise);
}

/** What is wrong with a field, in the reader's language. */
export function reasonOf(error: FieldError): string {
  return inWords(FIELD_WORDS, error.said, error.reason);
}

/** What the server refused, in the reader's language; of fields those that are wrong. */
export function problemText(problem: Problem): string {
  if (problem.errors?.length) {
    return problem.errors.map((each) => `${plain(each.field)}: ${reasonOf(each)}`).join('; ');
  }
  return inWords(REFUSAL_WORDS, problem.said, problem.detail ?? problem.title ?? '');
}
