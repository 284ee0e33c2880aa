import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import parts from '../administration/parts.module.css';
import { call } from '../api/client';
import { messagesQuery } from '../api/queries';
import type { NotificationMessage } from '../api/types';
import { Failed, Loading } from '../app/parts';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './NotificationsPage.module.css';
import { FAULT_WORDS, MESSAGE_STATE_WORDS } from './words';

/** The newest messages: what was sent, what waits, what could not be delivered. */
export function Messages() {
  const { data, error, isPending, refetch } = useQuery(messagesQuery);
  if (isPending) return <Loading />;
  if (error) return <Failed error={error} retry={() => void refetch()} />;
  if (data.items.length === 0) {
    return (
      <p className={parts.soft}>
        <Trans>Nothing was sent yet.</Trans>
      </p>
    );
  }
  return (
    <ul className={classes.messages}>
      {data.items.map((item) => (
        <Message key={item.id} item={item} />
      ))}
    </ul>
  );
}

function Message({ item }: { item: NotificationMessage }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const again = useMutation({
    mutationFn: () =>
      call<void>(`/notifications/messages/${encodeURIComponent(item.id)}/retry`, { method: 'POST' }),
    onSettled: () => void queries.invalidateQueries({ queryKey: messagesQuery.queryKey }),
  });
  return (
    <li data-testid="message">
      <div className={classes.line}>
        <span className={classes.state} data-state={item.state}>
          {t(MESSAGE_STATE_WORDS[item.state])}
        </span>
        <b>{plain(item.route_name) || <Trans>a route that was removed</Trans>}</b>
        <Time at={item.sent_at ?? item.created_at} />
        <span className={parts.soft}>
          <Plural value={item.item_count} one="# item" other="# items" />
        </span>
        {item.next_attempt_at && (
          <span className={parts.soft}>
            {item.attempts > 0 ? (
              <Trans>
                tried {item.attempts} times, again <Time at={item.next_attempt_at} />
              </Trans>
            ) : (
              <Trans>
                goes out <Time at={item.next_attempt_at} />
              </Trans>
            )}
          </span>
        )}
        {item.state === 'failed' && item.route_name && (
          <Button
            variant="default"
            size="compact-xs"
            loading={again.isPending}
            onClick={() => again.mutate()}
          >
            <Trans>Try again</Trans>
          </Button>
        )}
      </div>
      {item.last_error && (
        <p className={classes.error}>
          {item.last_fault && `${t(FAULT_WORDS[item.last_fault])} `}
          <LogText text={item.last_error} />
        </p>
      )}
    </li>
  );
}
