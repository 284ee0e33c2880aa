import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import type { NotificationMessage, Subject } from '../api/types';

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
