import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { DeliveryFault, NotificationMessage, Subject } from '../api/types';

export const SUBJECT_WORDS: Record<Subject, MessageDescriptor> = {
  opened: msg`new incidents`,
  overdue: msg`clocks that ran out`,
  test: msg`tests`,
};

export const MESSAGE_STATE_WORDS: Record<NotificationMessage['state'], MessageDescriptor> = {
  waiting: msg`waiting`,
  sent: msg`sent`,
  failed: msg`failed`,
};

/** Why a message does not get through. */
export const FAULT_WORDS: Record<DeliveryFault, MessageDescriptor> = {
  unreachable: msg`The receiver cannot be reached.`,
  refused: msg`The receiver refuses what is sent.`,
  settings: msg`The settings are wrong.`,
  broken: msg`The message cannot be made.`,
  removed: msg`The route was removed.`,
};

/** What to do about it. */
export const REMEDY_WORDS: Record<DeliveryFault, MessageDescriptor> = {
  unreachable: msg`Look whether its address is right, whether it runs, and whether a firewall lets this server through to it.`,
  refused: msg`Look at what it answered, and whether name, password and addresses are still right.`,
  settings: msg`Correct the configuration of this server and start it again.`,
  broken: msg`Look at the route's template and addresses.`,
  removed: msg`Nothing is to be done.`,
};
