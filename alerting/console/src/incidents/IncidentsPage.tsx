import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { newFor } from '../api/live';
import { incidentsQuery, STATE_FILTERS, type StateFilter } from '../api/queries';
import { INCIDENT_STATES } from '../api/types';
import { Icon } from '../app/icons';
import { useLive } from '../app/liveContext';
import { Empty, Failed, Loading } from '../app/parts';
import { STATE_WORDS } from '../app/words';
import classes from './IncidentsPage.module.css';
import { IncidentTable } from './IncidentTable';

const route = getRouteApi('/incidents');

/** Incidents, newest first; live, and never moving by itself. */
export function IncidentsPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Incidents`} · Citywatch`);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const state = search.state ?? 'all';
  const list = useInfiniteQuery(incidentsQuery(state));
  const incidents = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const total = list.data?.pages[0]?.total;

  const choose = (chosen: string) => {
    const filter = STATE_FILTERS.find((each) => each === chosen && each !== 'all');
    void navigate({ search: filter ? { state: filter } : {} });
  };
  const remember = useCallback(
    (id: string) => {
      void navigate({ search: (before) => ({ ...before, at: id }), replace: true, resetScroll: false });
    },
    [navigate],
  );

  return (
    <div className={classes.page}>
      <div className={classes.head}>
        <h1 className={classes.title}>
          <Trans>Incidents</Trans>
        </h1>
        {total !== undefined && (
          <span className={classes.total}>
            <Plural value={total} one="# incident" other="# incidents" />
          </span>
        )}
        <NativeSelect
          className={classes.filter}
          size="xs"
          aria-label={t`State`}
          value={state}
          onChange={(event) => choose(event.currentTarget.value)}
          data={[
            { value: 'all', label: t`All states` },
            { value: 'open', label: t`Open` },
            { value: 'overdue', label: t`Overdue` },
            ...INCIDENT_STATES.map((each) => ({ value: each, label: t(STATE_WORDS[each]) })),
          ]}
        />
      </div>
      <NewPill state={state} />
      {list.isPending && <Loading />}
      {list.error && <Failed error={list.error} retry={() => void list.refetch()} />}
      {list.data && incidents.length === 0 && (
        <Empty title={state === 'all' ? t`No incidents` : t`No incidents in this state`}>
          <Trans>As soon as a rule matches, what it found appears here.</Trans>
        </Empty>
      )}
      {incidents.length > 0 && (
        <IncidentTable
          key={state}
          incidents={incidents}
          startAt={search.at}
          onReach={remember}
          footer={
            list.hasNextPage ? (
              <Button
                variant="default"
                size="xs"
                loading={list.isFetchingNextPage}
                onClick={() => void list.fetchNextPage()}
              >
                <Trans>Load more</Trans>
              </Button>
            ) : null
          }
        />
      )}
    </div>
  );
}

/** Says how many incidents came since the list was read, and shows them when asked. */
function NewPill({ state }: { state: StateFilter }) {
  const live = useLive();
  const waiting = useSyncExternalStore(live.subscribe, live.get);
  const { data } = useInfiniteQuery(incidentsQuery(state));
  const [busy, setBusy] = useState(false);
  const count = useMemo(() => newFor(data, state, waiting).length, [data, state, waiting]);
  const pill = useRef<HTMLDivElement>(null);

  // Into an empty list they come by themselves: there is no row that could move.
  const empty = data?.pages.every((page) => page.items.length === 0) ?? false;
  useEffect(() => {
    if (empty && count > 0) void live.showNewest(state);
  }, [empty, count, live, state]);

  async function show() {
    setBusy(true);
    try {
      await live.showNewest(state);
    } finally {
      setBusy(false);
    }
    const page = pill.current?.parentElement;
    page?.querySelector('[data-scroller]')?.scrollTo({ top: 0 });
    page?.querySelector<HTMLAnchorElement>('[data-row="0"]')?.focus();
  }

  return (
    <div ref={pill} className={classes.pillPlace} role="status">
      {count > 0 && !empty && (
        <Button
          className={classes.pill}
          size="xs"
          radius="xl"
          loading={busy}
          leftSection={<Icon name="up" size={14} />}
          onClick={() => void show()}
        >
          <Plural value={count} one="# new incident" other="# new incidents" />
        </Button>
      )}
    </div>
  );
}
