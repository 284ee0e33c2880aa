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
import type { AuditEntry } from '../api/types';
import { Empty, Failed, Loading } from '../app/parts';
import { ROLES } from '../app/roles';
import { ROLE_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { AuditFilterForm } from './AuditFilterForm';
import own from './AuditPage.module.css';
import { actionWords, failureIn, parameterWords, targetOf } from './actions';

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
  const nameOf = (name: string) => {
    const words = parameterWords(name);
    return words ? t(words) : name;
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
                  <td className={own.what}>
                    <UnstyledButton
                      className={own.pick ?? ''}
                      title={t`Only this action`}
                      onClick={() => narrow({ ...filter, action: entry.action })}
                    >
                      <Action action={entry.action} />
                    </UnstyledButton>
                    <p className={own.target}>{plain(targetOf(entry.action, entry.subject, nameOf))}</p>
                  </td>
                  <td className={own.detail}>
                    <Detail entry={entry} />
                  </td>
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

function Action({ action }: { action: string }) {
  const { t } = useLingui();
  const words = actionWords(action);
  return words ? t(words) : plain(action);
}

/** What came with it or became of it, and the request as it was made. */
function Detail({ entry }: { entry: AuditEntry }) {
  const { action, subject, detail } = entry;
  const method = action.slice(0, action.indexOf(' '));
  const failure = failureIn(detail);
  return (
    <>
      {failure ? (
        <p className={own.failed}>
          <Trans>
            number {failure.entry} failed: {plain(failure.status)}
          </Trans>
        </p>
      ) : (
        <SaidOf action={action} detail={detail} />
      )}
      <p className={own.request}>{plain(`${method} ${subject}`.trim())}</p>
    </>
  );
}

function SaidOf({ action, detail }: { action: string; detail: string }) {
  if (action === 'POST /api/v1/session') {
    if (detail === 'succeeded') return <Trans>succeeded</Trans>;
    if (detail === 'failed')
      return (
        <span className={own.failed}>
          <Trans>failed: wrong name or password</Trans>
        </span>
      );
    const refused = detail.match(/^refused: (\d+)$/)?.[1];
    if (refused)
      return (
        <span className={own.failed}>
          <Trans>refused after too many wrong passwords, {refused} so far</Trans>
        </span>
      );
  }
  return <span className={classes.mono}>{plain(detail)}</span>;
}
