import { Trans } from '@lingui/react/macro';
import { UnstyledButton } from '@mantine/core';
import { ApiError } from '../api/client';
import { reasonOf } from '../app/problems';
import { plain } from '../text/hostile';
import { placeIn } from './language';
import classes from './QueryFault.module.css';

export interface Fault {
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
  return { reason: reasonOf(found), ...place };
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
  const { reason, start, end } = fault;
  return (
    <div id={id} className={classes.fault} role="alert" data-testid="query-fault">
      <p className={classes.words}>
        {reason}{' '}
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
