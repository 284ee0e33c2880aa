import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { Trans, useLingui } from '@lingui/react/macro';
import { UnstyledButton } from '@mantine/core';
import { ApiError } from '../api/client';
import { plain } from '../text/hostile';
import { placeIn } from './language';
import classes from './QueryFault.module.css';

const FAULT_WORDS: Record<string, MessageDescriptor> = {
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

export interface Fault {
  words: MessageDescriptor | null;
  /** What the server said. */
  reason: string;
  start: number;
  end: number;
}

/** What is wrong with the line and where; `null` when the error is about something else. */
export function faultOf(error: unknown, line: string): Fault | null {
  if (!(error instanceof ApiError) || error.status !== 400) return null;
  const found = error.problem.errors?.find(({ field }) => field === 'q');
  if (!found) return null;
  const place = placeIn(line, found.at ?? 0, found.length ?? [...line].length);
  return { words: FAULT_WORDS[found.code ?? ''] ?? null, reason: found.reason, ...place };
}

interface QueryFaultProps {
  id: string;
  line: string;
  fault: Fault;
  /** Goes to the place in the input. */
  onGo: () => void;
}

/** Says what is wrong with the line, and shows where. */
export function QueryFault({ id, line, fault, onGo }: QueryFaultProps) {
  const { t } = useLingui();
  const { words, reason, start, end } = fault;
  return (
    <div id={id} className={classes.fault} role="alert" data-testid="query-fault">
      <p className={classes.words}>
        {words ? t(words) : plain(reason)}{' '}
        <UnstyledButton className={classes.go} onClick={onGo}>
          <Trans>Go there</Trans>
        </UnstyledButton>
      </p>
      <code className={classes.line}>
        {plain(line.slice(0, start))}
        <mark className={classes.place}>{plain(line.slice(start, end)) || ' '}</mark>
        {plain(line.slice(end))}
      </code>
    </div>
  );
}
