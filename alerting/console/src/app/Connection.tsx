import { useLingui } from '@lingui/react/macro';
import { useSyncExternalStore } from 'react';
import { liveStream } from '../api/stream';
import { useNow } from '../text/Time';
import classes from './Connection.module.css';

/** Whether what is shown follows the server. */
export function Connection() {
  const { t } = useLingui();
  const state = useSyncExternalStore(liveStream.subscribe, liveStream.get);
  const now = useNow(1_000);
  const seconds = state.kind === 'lost' ? Math.max(0, Math.ceil((state.retryAt - now) / 1_000)) : 0;
  const words = {
    connecting: t`Connecting`,
    live: t`Live`,
    lost: seconds > 0 ? t`Connection lost, again in ${seconds} s` : t`Connection lost, trying`,
  }[state.kind];
  return (
    <div className={classes.connection} data-state={state.kind} data-testid="connection">
      <span className={classes.dot} aria-hidden="true" />
      <span>{words}</span>
      {/* Said once when it changes, not with each second. */}
      <span className="cw-only-heard" role="status">
        {state.kind === 'lost' ? t`Connection lost` : ''}
      </span>
    </div>
  );
}
