import { Plural, Trans, useLingui } from '@lingui/react/macro';
import type { NotificationRoute, RouteTrouble } from '../api/types';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './NotificationsPage.module.css';
import { FAULT_WORDS, REMEDY_WORDS } from './words';

interface TroubleProps {
  route: NotificationRoute;
  trouble: RouteTrouble;
}

/** That nothing gets through by a route: since when, what waits, what to do. */
export function Trouble({ route, trouble }: TroubleProps) {
  const { t } = useLingui();
  const { fault, since, waiting_items: items, next_attempt_at: next } = trouble;
  return (
    <div className={classes.trouble} role="alert" data-testid="route-trouble">
      <p>
        <b>
          {fault === 'unreachable' && route.kind === 'email' ? (
            <Trans>The mail server cannot be reached.</Trans>
          ) : (
            t(FAULT_WORDS[fault])
          )}
        </b>{' '}
        <Trans>
          Nothing has got through to {plain(route.name)} since <Time at={since} />.
        </Trans>{' '}
        {items > 0 ? (
          <Plural value={items} one="# notification waits." other="# notifications wait." />
        ) : (
          <Trans>Nothing waits.</Trans>
        )}{' '}
        {next && (
          <Trans>
            Nothing is lost; it is tried again <Time at={next} />.
          </Trans>
        )}
      </p>
      <p>{t(REMEDY_WORDS[fault])}</p>
      <p className={classes.error}>
        <LogText text={trouble.error} />
      </p>
    </div>
  );
}
