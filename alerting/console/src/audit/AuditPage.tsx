import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import { AdministrationPage } from '../administration/AdministrationPage';
import classes from '../administration/parts.module.css';
import { TableFrame } from '../administration/TableFrame';
import { auditQuery } from '../api/queries';
import { Empty, Failed, Loading } from '../app/parts';
import { holdsWords } from '../text/folded';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';

const route = getRouteApi('/administration/audit');

/** What people and programs did, newest first; `citywatch audit verify` proves that nothing was changed. */
export function AuditPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Audit log`} · Citywatch`);
  const { q = '' } = route.useSearch();
  const navigate = route.useNavigate();
  const log = useInfiniteQuery(auditQuery);
  const entries = useMemo(
    () =>
      log.data?.pages
        .flatMap((page) => page.items)
        .filter((each) =>
          holdsWords([each.who, each.address, each.action, each.subject, each.detail].join(' '), q),
        ) ?? [],
    [log.data, q],
  );
  return (
    <AdministrationPage title={t`Audit log`}>
      <div className={classes.head}>
        <p className={classes.about}>
          <Trans>
            Each line holds a hash of the one before it. “citywatch audit verify” finds lines that were
            changed, removed or reordered.
          </Trans>
        </p>
        <TextInput
          size="xs"
          type="search"
          aria-label={t`Find in what is loaded`}
          placeholder={t`Find in what is loaded`}
          value={q}
          onChange={(event) => {
            const words = event.currentTarget.value;
            void navigate({ search: words ? { q: words } : {}, replace: true });
          }}
        />
      </div>
      {log.isPending && <Loading />}
      {log.error && <Failed error={log.error} retry={() => void log.refetch()} />}
      {log.data && entries.length === 0 && <Empty title={t`No line like that`} />}
      {entries.length > 0 && (
        <TableFrame label={t`Audit log`}>
          <table className={classes.table} aria-label={t`Audit log`}>
            <thead>
              <tr>
                <th scope="col">{t`Number`}</th>
                <th scope="col">{t`Time`}</th>
                <th scope="col">{t`Who`}</th>
                <th scope="col">{t`What`}</th>
                <th scope="col">{t`Detail`}</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={entry.sequence} title={entry.hash} data-testid="audit-entry">
                  <td>{entry.sequence}</td>
                  <td>
                    <Time at={entry.at} />
                  </td>
                  <td>
                    <b>{plain(entry.who) || '–'}</b>
                    <p className={classes.soft}>
                      {[entry.role, entry.address].map(plain).filter(Boolean).join(' · ')}
                    </p>
                  </td>
                  <td className={classes.mono}>
                    {plain(entry.action)}
                    {!entry.action.endsWith(entry.subject) && (
                      <p className={classes.soft}>{plain(entry.subject)}</p>
                    )}
                  </td>
                  <td className={classes.mono}>{plain(entry.detail)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
      {log.hasNextPage && (
        <Button
          className={classes.more ?? ''}
          variant="default"
          size="xs"
          loading={log.isFetchingNextPage}
          onClick={() => void log.fetchNextPage()}
        >
          <Trans>Load more</Trans>
        </Button>
      )}
    </AdministrationPage>
  );
}
