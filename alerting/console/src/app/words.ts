/** Words for the values that the server names, and for what went wrong. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { ApiError, NetworkError } from '../api/client';
import type { IncidentState, Severity, Verdict } from '../api/types';
import { problemText } from './problems';
import type { RoleName } from './roles';

export const SEVERITY_WORDS: Record<Severity, MessageDescriptor> = {
  critical: msg`critical`,
  high: msg`high`,
  medium: msg`medium`,
  low: msg`low`,
  informational: msg`informational`,
};

export const STATE_WORDS: Record<IncidentState, MessageDescriptor> = {
  new: msg`new`,
  acknowledged: msg`acknowledged`,
  in_progress: msg`in progress`,
  resolved: msg`resolved`,
  closed: msg`closed`,
};

export const VERDICT_WORDS: Record<Verdict, MessageDescriptor> = {
  true_positive: msg`true positive`,
  benign_true_positive: msg`benign true positive`,
  false_positive: msg`false positive`,
};

export const ROLE_WORDS: Record<RoleName, MessageDescriptor> = {
  viewer: msg`viewer`,
  analyst: msg`analyst`,
  lead: msg`shift lead`,
  administrator: msg`administrator`,
};

export const ENTITY_WORDS: Record<string, MessageDescriptor> = {
  host: msg`host`,
  user: msg`user`,
  address: msg`address`,
  file: msg`file`,
  hash: msg`hash`,
};

export interface Failure {
  what: MessageDescriptor;
  /** What the server said, in the reader's language where it is known. */
  detail: string;
}

/** What happened and what to do next. */
export function failureOf(error: unknown): Failure {
  if (error instanceof NetworkError && error.changing) {
    return {
      what: msg`The server does not answer. What you entered is kept: try again; what was done is not done twice.`,
      detail: '',
    };
  }
  if (error instanceof NetworkError) {
    return { what: msg`The server does not answer. Nothing is lost; it is tried again.`, detail: '' };
  }
  if (!(error instanceof ApiError)) {
    return { what: msg`Something in this page failed. Reload it.`, detail: String(error) };
  }
  const said = problemText(error.problem);
  if (error.status === 403) return { what: msg`You may not do this.`, detail: said };
  if (error.status === 404) return { what: msg`It is not there, or not for you to see.`, detail: said };
  if (error.status === 429) return { what: msg`Too many requests. Wait a little.`, detail: said };
  if (error.status < 500) return { what: msg`The server does not accept this.`, detail: said };
  return { what: msg`The server failed. Try again; if it goes on, look at the system status.`, detail: said };
}
