import { Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { AdministrationPage } from '../administration/AdministrationPage';
import { OnceNote } from '../administration/OnceNote';
import classes from '../administration/parts.module.css';
import { TableFrame } from '../administration/TableFrame';
import { call } from '../api/client';
import { tokensQuery } from '../api/queries';
import type { ApiToken } from '../api/types';
import { Empty, Failed, Loading } from '../app/parts';
import { ROLES } from '../app/roles';
import { UnitName } from '../app/UnitName';
import { ROLE_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { Time, useNow } from '../text/Time';
import { TokenForm } from './TokenForm';

const route = getRouteApi('/administration/tokens');

/** Programs that may use the API: as what, for which units, until when. */
export function TokensPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Tokens`} · Citywatch`);
  const { edit } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(tokensQuery);
  const [secret, setSecret] = useState('');
  const open = (what: string | undefined) => void navigate({ search: what ? { edit: what } : {} });
  return (
    <AdministrationPage title={t`Tokens`}>
      <div className={classes.head}>
        <p className={classes.about}>
          <Trans>
            A program sends its token with each request, as “Authorization: Bearer …”. It may do what its role
            may, within its units, until it ends.
          </Trans>
        </p>
        <Button size="xs" onClick={() => open('new')}>
          <Trans>New token</Trans>
        </Button>
      </div>
      {secret && (
        <OnceNote secret={secret} onClose={() => setSecret('')}>
          <Trans>The token, shown this once. Keep it where the program keeps its secrets.</Trans>
        </OnceNote>
      )}
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && (
        <Empty title={t`No tokens`}>
          <Trans>No program may use the API.</Trans>
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <TableFrame label={t`Tokens`}>
          <table className={classes.table} aria-label={t`Tokens`}>
            <thead>
              <tr>
                <th scope="col">{t`Name`}</th>
                <th scope="col">{t`Role`}</th>
                <th scope="col">{t`Unit`}</th>
                <th scope="col">{t`Made`}</th>
                <th scope="col">{t`Last used`}</th>
                <th scope="col">{t`Ends`}</th>
                <th scope="col">{t`Actions`}</th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((token) => (
                <Row key={token.id} token={token} />
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
      {edit === 'new' && <TokenForm onClose={() => open(undefined)} onMade={setSecret} />}
    </AdministrationPage>
  );
}

function Row({ token }: { token: ApiToken }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const now = useNow(60_000);
  const [revoking, setRevoking] = useState(false);
  const revoke = useMutation({
    mutationFn: () => call<void>(`/tokens/${encodeURIComponent(token.id)}`, { method: 'DELETE' }),
    onSettled: () => void queries.invalidateQueries({ queryKey: tokensQuery.queryKey }),
  });
  const role = ROLES.find((each) => each === token.role);
  const ended = token.revoked_at ?? (Date.parse(token.expires_at) < now ? token.expires_at : null);
  return (
    <tr data-off={ended !== null || undefined} data-testid="token">
      <td>
        <b>{plain(token.name)}</b>
      </td>
      <td>{role ? t(ROLE_WORDS[role]) : plain(token.role)}</td>
      <td>{token.unit ? <UnitName id={token.unit} /> : <Trans>the whole city</Trans>}</td>
      <td>
        <Time at={token.created_at} />
        <p className={classes.soft}>
          <Trans>by {plain(token.created_by)}</Trans>
        </p>
      </td>
      <td>{token.last_used_at ? <Time at={token.last_used_at} /> : <Trans>never</Trans>}</td>
      <td>
        {token.revoked_at ? (
          <Trans>
            revoked <Time at={token.revoked_at} />
          </Trans>
        ) : (
          <Time at={token.expires_at} />
        )}
      </td>
      <td>
        {ended === null &&
          (revoking ? (
            <Button size="compact-sm" color="red" loading={revoke.isPending} onClick={() => revoke.mutate()}>
              <Trans>Revoke for good</Trans>
            </Button>
          ) : (
            <Button size="compact-sm" variant="default" onClick={() => setRevoking(true)}>
              <Trans>Revoke</Trans>
            </Button>
          ))}
        {revoke.error && <Failed error={revoke.error} />}
      </td>
    </tr>
  );
}
