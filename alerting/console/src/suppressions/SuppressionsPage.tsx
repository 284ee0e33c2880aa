import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { AdministrationPage } from '../administration/AdministrationPage';
import parts from '../administration/parts.module.css';
import { call } from '../api/client';
import { SUPPRESSION_FILTERS, type SuppressionFilter, suppressionsQuery } from '../api/queries';
import type { Suppression } from '../api/types';
import { Empty, Failed, Loading } from '../app/parts';
import { useRole } from '../app/roles';
import { useTitle } from '../app/titles';
import { UnitName } from '../app/UnitName';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { HiddenMatches } from './HiddenMatches';
import classes from './SuppressionsPage.module.css';

const route = getRouteApi('/administration/suppressions');

/** All that is hidden: by whom, why, until when, and how much. */
export function SuppressionsPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Suppressions`} · Citywatch`);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const state = search.state ?? 'active';
  const list = useInfiniteQuery(suppressionsQuery(state));
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const words: Record<SuppressionFilter, string> = { active: t`In force`, ended: t`Ended`, all: t`All` };
  const choose = (chosen: string) => {
    const filter = SUPPRESSION_FILTERS.find((each) => each === chosen && each !== 'active');
    void navigate({ search: filter ? { state: filter } : {} });
  };
  const open = (id: string | undefined) =>
    void navigate({
      search: ({ open: _, ...before }) => (id ? { ...before, open: id } : before),
      replace: true,
      resetScroll: false,
    });
  return (
    <AdministrationPage title={t`Suppressions`}>
      <div className={parts.head}>
        <p className={parts.about}>
          <Trans>
            A suppression hides alerts for a reason and until a time, and then ends by itself. What it hides
            is counted and can be looked at here. A new one is set from an alert in an incident.
          </Trans>
        </p>
        <NativeSelect
          size="xs"
          aria-label={t`State`}
          value={state}
          onChange={(event) => choose(event.currentTarget.value)}
          data={SUPPRESSION_FILTERS.map((value) => ({ value, label: words[value] }))}
        />
      </div>
      {list.isPending && <Loading />}
      {list.error && <Failed error={list.error} retry={() => void list.refetch()} />}
      {list.data && items.length === 0 && (
        <Empty title={state === 'active' ? t`Nothing is suppressed` : t`No suppressions`} />
      )}
      <ul className={parts.list}>
        {items.map((item) => (
          <Entry key={item.id} item={item} open={item.id === search.open} onOpen={open} />
        ))}
      </ul>
      {list.hasNextPage && (
        <Button
          variant="default"
          size="xs"
          loading={list.isFetchingNextPage}
          onClick={() => void list.fetchNextPage()}
        >
          <Trans>Load more</Trans>
        </Button>
      )}
    </AdministrationPage>
  );
}

interface EntryProps {
  item: Suppression;
  open: boolean;
  onOpen: (id: string | undefined) => void;
}

function Entry({ item, open, onOpen }: EntryProps) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const titleOf = useTitle();
  const mayEnd = useRole('lead') && item.active;
  const end = useMutation({
    mutationFn: () => call<void>(`/suppressions/${encodeURIComponent(item.id)}`, { method: 'DELETE' }),
    onSettled: () => void queries.invalidateQueries({ queryKey: ['suppressions'] }),
  });
  return (
    <li className={parts.entry} data-active={item.active || undefined} data-testid="suppression">
      <div className={parts.row}>
        <div className={parts.what}>
          <h2 className={parts.name}>
            {item.rule_id ? (
              titleOf({ title: item.rule_title || item.rule_id, title_vi: item.rule_title_vi })
            ) : (
              <Trans>Any rule</Trans>
            )}
          </h2>
          <ul className={classes.limits}>
            {item.host && <Limit name={t`Host`}>{plain(item.host)}</Limit>}
            {item.unit && (
              <Limit name={t`Unit`}>
                <UnitName id={item.unit} />
              </Limit>
            )}
            {item.fields.map((field) => (
              <Limit key={`${field.name} ${field.value}`} name={plain(field.name)}>
                {plain(field.value)}
              </Limit>
            ))}
          </ul>
          <p className={classes.reason}>
            <LogText text={item.reason} />
          </p>
          <p className={parts.soft}>
            <Trans>
              by {plain(item.created_by)}, <Time at={item.created_at} />
            </Trans>{' '}
            ·{' '}
            {item.ended_at ? (
              <Trans>
                ended early by {plain(item.ended_by ?? '')}, <Time at={item.ended_at} />
              </Trans>
            ) : item.active ? (
              <Trans>
                ends <Time at={item.ends_at} />
              </Trans>
            ) : (
              <Trans>
                ended <Time at={item.ends_at} />
              </Trans>
            )}
          </p>
        </div>
        <div className={classes.count}>
          <span className={classes.number}>
            <Plural value={item.match_count} one="# match hidden" other="# matches hidden" />
          </span>
          <span className={parts.soft}>
            <Plural value={item.event_count} one="# event" other="# events" />
            {item.last_hidden_at && (
              <>
                {' · '}
                <Trans>
                  last <Time at={item.last_hidden_at} />
                </Trans>
              </>
            )}
          </span>
          <div className={classes.buttons}>
            {item.match_count > 0 && (
              <Button
                variant="default"
                size="xs"
                aria-expanded={open}
                onClick={() => onOpen(open ? undefined : item.id)}
              >
                {open ? <Trans>Close</Trans> : <Trans>Show what is hidden</Trans>}
              </Button>
            )}
            {mayEnd && (
              <Button variant="default" size="xs" loading={end.isPending} onClick={() => end.mutate()}>
                <Trans>End now</Trans>
              </Button>
            )}
          </div>
        </div>
      </div>
      {end.error && <Failed error={end.error} />}
      {open && <HiddenMatches id={item.id} />}
    </li>
  );
}

function Limit({ name, children }: { name: string; children: ReactNode }) {
  return (
    <li>
      <span className={parts.soft}>{name}</span> <bdi>{children}</bdi>
    </li>
  );
}
