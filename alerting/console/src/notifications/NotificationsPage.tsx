import { Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { AdministrationPage } from '../administration/AdministrationPage';
import parts from '../administration/parts.module.css';
import { call } from '../api/client';
import { messagesQuery, routesQuery } from '../api/queries';
import type { NotificationRoute, RouteTrouble } from '../api/types';
import { Empty, Failed, Loading } from '../app/parts';
import { UnitName } from '../app/UnitName';
import { SEVERITY_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { Messages } from './Messages';
import classes from './NotificationsPage.module.css';
import { RouteForm } from './RouteForm';
import { SecretNote } from './SecretNote';
import { Trouble } from './Trouble';
import { SUBJECT_WORDS } from './words';

const route = getRouteApi('/administration/notifications');

/** Where notifications go, and what became of them. */
export function NotificationsPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Notifications`} · Citywatch`);
  const { edit } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(routesQuery);
  const [secret, setSecret] = useState('');
  const open = (what: string | undefined) => void navigate({ search: what ? { edit: what } : {} });
  const edited = data?.items.find((item) => item.id === edit);
  const kind = edited?.kind ?? (edit === 'email' || edit === 'webhook' ? edit : undefined);
  return (
    <AdministrationPage title={t`Notifications`}>
      <div className={parts.head}>
        <p className={parts.about}>
          <Trans>
            A route says what is told to whom: by e-mail, or to a program by a signed webhook. What happens
            close together goes in one message; what cannot be delivered is tried again.
          </Trans>
        </p>
        <div className={parts.buttons}>
          <Button size="xs" onClick={() => open('webhook')}>
            <Trans>New webhook</Trans>
          </Button>
          <Button size="xs" variant="default" disabled={data?.email === false} onClick={() => open('email')}>
            <Trans>New e-mail</Trans>
          </Button>
        </div>
      </div>
      {data?.email === false && (
        <p className={`${parts.soft} ${classes.note}`}>
          <Trans>E-mail needs a mail server: set [alerting.notifications.smtp] in the configuration.</Trans>
        </p>
      )}
      {secret && <SecretNote secret={secret} onClose={() => setSecret('')} />}
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && data.items.length === 0 && (
        <Empty title={t`No notification routes`}>
          <Trans>Nobody is told of anything outside of this console.</Trans>
        </Empty>
      )}
      <ul className={parts.list}>
        {data?.items.map((item) => (
          <Entry
            key={item.id}
            item={item}
            trouble={data.troubles.find((each) => each.route_id === item.id)}
            onEdit={() => open(item.id)}
            onSecret={setSecret}
          />
        ))}
      </ul>
      {kind && (data || edit === kind) && (
        <RouteForm
          key={edit}
          kind={kind}
          {...(edited ? { route: edited } : {})}
          onClose={() => open(undefined)}
          onSecret={setSecret}
        />
      )}
      <h2 className={classes.second}>
        <Trans>Messages</Trans>
      </h2>
      <Messages />
    </AdministrationPage>
  );
}

interface EntryProps {
  item: NotificationRoute;
  trouble: RouteTrouble | undefined;
  onEdit: () => void;
  onSecret: (secret: string) => void;
}

function Entry({ item, trouble, onEdit, onSecret }: EntryProps) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const path = `/notifications/routes/${encodeURIComponent(item.id)}`;
  const settled = () => {
    void queries.invalidateQueries({ queryKey: routesQuery.queryKey });
    void queries.invalidateQueries({ queryKey: messagesQuery.queryKey });
  };
  const test = useMutation({
    mutationFn: () => call<void>(`${path}/test`, { method: 'POST' }),
    onSettled: settled,
  });
  const remove = useMutation({
    mutationFn: () => call<void>(path, { method: 'DELETE' }),
    onSettled: settled,
  });
  const renew = useMutation({
    mutationFn: () => call<{ secret: string }>(`${path}/secret`, { method: 'POST' }),
    onSuccess: ({ secret }) => onSecret(secret),
    onSettled: settled,
  });
  const [removing, setRemoving] = useState(false);
  const failure = test.error ?? remove.error ?? renew.error;
  const severity = t(SEVERITY_WORDS[item.severity_min]);
  return (
    <li className={parts.entry} data-enabled={item.enabled || undefined} data-testid="route">
      <div className={parts.row}>
        <div className={parts.what}>
          <h2 className={parts.name}>
            {plain(item.name)}{' '}
            {!item.enabled && (
              <span className={parts.soft}>
                <Trans>switched off</Trans>
              </span>
            )}
          </h2>
          <p className={classes.target}>
            {item.kind === 'email' ? <Trans>e-mail</Trans> : <Trans>webhook</Trans>}:{' '}
            <bdi>{plain(item.target)}</bdi>
          </p>
          <p className={parts.soft}>
            <Trans>from {severity} on</Trans> ·{' '}
            {item.subjects.map((each) => t(SUBJECT_WORDS[each])).join(', ')} ·{' '}
            {item.unit ? <UnitName id={item.unit} /> : <Trans>the whole city</Trans>} ·{' '}
            {item.group_minutes > 0 ? (
              <Trans>gathered for {item.group_minutes} min</Trans>
            ) : (
              <Trans>at once</Trans>
            )}
          </p>
        </div>
        <div className={parts.buttons}>
          <Button variant="default" size="xs" loading={test.isPending} onClick={() => test.mutate()}>
            <Trans>Send a test</Trans>
          </Button>
          <Button variant="default" size="xs" onClick={onEdit}>
            <Trans>Change</Trans>
          </Button>
          {item.kind === 'webhook' && (
            <Button variant="default" size="xs" loading={renew.isPending} onClick={() => renew.mutate()}>
              <Trans>New secret</Trans>
            </Button>
          )}
          {removing ? (
            <Button color="red" size="xs" loading={remove.isPending} onClick={() => remove.mutate()}>
              <Trans>Remove for good</Trans>
            </Button>
          ) : (
            <Button variant="default" size="xs" onClick={() => setRemoving(true)}>
              <Trans>Remove</Trans>
            </Button>
          )}
        </div>
      </div>
      {trouble && <Trouble route={item} trouble={trouble} />}
      {failure && <Failed error={failure} />}
    </li>
  );
}
