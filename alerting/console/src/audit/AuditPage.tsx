import { Trans, useLingui } from '@lingui/react/macro';
import { Button, UnstyledButton } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import { AdministrationPage } from '../administration/AdministrationPage';
import classes from '../administration/parts.module.css';
import { TableFrame } from '../administration/TableFrame';
import { type AuditFilter, auditQuery } from '../api/queries';
import { Empty, Failed, Loading } from '../app/parts';
import { ROLES } from '../app/roles';
import { ROLE_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { AuditFilterForm } from './AuditFilterForm';
import own from './AuditPage.module.css';

const route = getRouteApi('/administration/audit');

/** What people and programs did, newest first; `citywatch audit verify` proves that nothing was changed. */
export function AuditPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Audit log`} · Citywatch`);
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const log = useInfiniteQuery(auditQuery(filter));
  const entries = useMemo(() => log.data?.pages.flatMap((page) => page.items) ?? [], [log.data]);
  const roleOf = (name: string) => {
    const role = ROLES.find((each) => each === name);
    return role ? t(ROLE_WORDS[role]) : name;
  };
  const narrow = (wanted: AuditFilter) => void navigate({ search: wanted });
  return (
    <AdministrationPage title={t`Audit log`}>
      <div className={classes.head}>
        <p className={classes.about}>
          <Trans>
            Each line holds a hash of the one before it. “citywatch audit verify” finds lines that were
            changed, removed or reordered.
          </Trans>
        </p>
      </div>
      <AuditFilterForm key={JSON.stringify(filter)} filter={filter} onFilter={narrow} />
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
                    {entry.who ? (
                      <UnstyledButton
                        className={own.pick ?? ''}
                        title={t`Only what they did`}
                        onClick={() => narrow({ ...filter, who: entry.who })}
                      >
                        <b>{plain(entry.who)}</b>
                      </UnstyledButton>
                    ) : (
                      '–'
                    )}
                    <p className={own.from}>
                      {[roleOf(entry.role), entry.address].map(plain).filter(Boolean).join(' · ')}
                    </p>
                  </td>
                  <td className={classes.mono}>
                    <UnstyledButton
                      className={own.pick ?? ''}
                      title={t`Only this action`}
                      onClick={() => narrow({ ...filter, action: entry.action })}
                    >
                      {plain(entry.action)}
                    </UnstyledButton>
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
