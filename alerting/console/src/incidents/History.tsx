import { Trans } from '@lingui/react/macro';
import type { HistoryEntry } from '../api/types';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './History.module.css';

/** Who did what, in the order in which it was done. */
export function History({ entries }: { entries: HistoryEntry[] }) {
  if (entries.length === 0) {
    return (
      <p className={classes.none}>
        <Trans>Nothing was done yet.</Trans>
      </p>
    );
  }
  return (
    <ol className={classes.list}>
      {entries.map((entry, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: entries are only ever added at the end
        <li key={at}>
          <span className={classes.when}>
            <Time at={entry.at} />
          </span>
          <span>
            <b>
              <LogText text={entry.who} />
            </b>{' '}
            <LogText text={entry.what} />
          </span>
        </li>
      ))}
    </ol>
  );
}
