import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { Suspense, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import type { IncidentFilter } from '../api/incidentFilter';
import { newFor } from '../api/live';
import { incidentQuery, incidentsQuery, unitsQuery } from '../api/queries';
import { Icon } from '../app/icons';
import { useKey } from '../app/keys';
import { lazyPart } from '../app/lazily';
import { useLive } from '../app/liveContext';
import { PanelPlace } from '../app/PanelPlace';
import { Empty, Failed, Loading } from '../app/parts';
import { useRole } from '../app/roles';
import type { IncidentsSearch } from '../app/router';
import { useSideShown } from '../app/useSideShown';
import { unitsBelow } from '../units/tree';
import { CloseQuestion } from './CloseQuestion';
import { FacetPanel } from './FacetPanel';
import { FilterBar } from './FilterBar';
import { IncidentHistogram } from './IncidentHistogram';
import classes from './IncidentsPage.module.css';
import { IncidentTable } from './IncidentTable';
import { leadOf } from './lead';
import { type Queue, QueueContext } from './queue';
import { useSelection } from './selection';
import { Key, TriageKeys } from './TriageButtons';
import { useTriage } from './useTriage';

// What a reader asks for comes when it is asked for.
const IncidentPanel = lazyPart(() =>
  import('./IncidentPanel').then((module) => ({ default: module.IncidentPanel })),
);
const BulkBar = lazyPart(() => import('./BulkBar').then((module) => ({ default: module.BulkBar })));
const SuppressDialog = lazyPart(() =>
  import('../suppressions/SuppressDialog').then((module) => ({ default: module.SuppressDialog })),
);

const route = getRouteApi('/incidents');

/** The part of the address that says which incidents are listed. */
function filterOf({
  at: _at,
  panel: _panel,
  suppress: _suppress,
  ...filter
}: IncidentsSearch): IncidentFilter {
  return filter;
}

/** Incidents, newest first; live, and never moving by itself. The address holds filters, row and panel. */
export function IncidentsPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Incidents`} · Citywatch`);
  const search = route.useSearch();
  const { at, panel, suppress } = search;
  const filterText = JSON.stringify(filterOf(search));
  // Another row in the address does not make another filter.
  const filter = useMemo(() => JSON.parse(filterText) as IncidentFilter, [filterText]);
  const list = useInfiniteQuery(incidentsQuery(filter));
  const incidents = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const total = list.data?.pages[0]?.total;
  const triage = useTriage();
  const mayDecide = useRole('analyst');
  const maySuppress = useRole('lead');
  const { reach, open, close, suppressLike } = useWays();

  const facets = useSideShown({
    store: 'citywatch.facets-away',
    beside: panel !== undefined,
    show: t`Show the filters`,
    putAway: t`Put the filters away`,
  });
  const selection = useSelection();
  const chosen = useMemo(() => incidents.filter(({ id }) => selection.ids.has(id)), [incidents, selection]);
  // The row under the keys, before the address and the panel have followed.
  const [stand, setStand] = useState<string>();
  const standing = incidents.find(({ id }) => id === (stand ?? panel ?? at));
  const targets = useMemo(
    () => (chosen.length > 0 ? chosen : standing && !standing.merged_into ? [standing] : []),
    [chosen, standing],
  );
  const lastTicked = useRef<string>(undefined);
  const upTo = useCallback(
    (id: string) => {
      const from = incidents.findIndex((each) => each.id === (lastTicked.current ?? id));
      const to = incidents.findIndex((each) => each.id === id);
      lastTicked.current = id;
      return incidents.slice(Math.min(from, to), Math.max(from, to) + 1).map((each) => each.id);
    },
    [incidents],
  );
  const queue = useMemo<Queue>(() => ({ selection, panel, open, upTo }), [selection, panel, open, upTo]);

  const navigate = route.useNavigate();
  const asks = triage.closing.length > 0;
  const whole = (id: string) => navigate({ to: '/incidents/$id', params: { id } });
  useKey(
    'Escape',
    asks ? triage.leaveOpen : panel ? close : chosen.length > 0 ? selection.clear : undefined,
    asks ? t`Do not close` : panel ? t`Close the panel` : t`Tick nothing`,
  );
  return (
    <QueueContext value={queue}>
      <div className={classes.page}>
        {facets && <FacetPanel filter={filter} wanted={!list.isPending} />}
        <div className={classes.main}>
          <div className={classes.head}>
            <h1 className={classes.title}>
              <Trans>Incidents</Trans>
            </h1>
            {/* Its place is there from the start: the filters beside it must not move. */}
            <span className={classes.total}>
              {total !== undefined && <Plural value={total} one="# incident" other="# incidents" />}
            </span>
            <FilterBar filter={filter} />
          </div>
          {facets && <IncidentHistogram filter={filter} wanted={!list.isPending} />}
          <NewPill filter={filter} />
          {mayDecide && (
            <>
              <Key name="x" words={t`Tick the row`} act={standing && (() => selection.toggle(standing.id))} />
              <TriageKeys incidents={targets} triage={triage} />
            </>
          )}
          {maySuppress && (
            <Key
              name="s"
              words={t`Suppress alerts like this`}
              act={standing && (() => suppressLike(standing.id))}
            />
          )}
          <Key name="o" words={t`Open its whole page`} act={standing && (() => void whole(standing.id))} />
          {list.isPending && <Loading />}
          {list.error && <Failed error={list.error} retry={() => void list.refetch()} />}
          {list.data && incidents.length === 0 && (
            <Empty title={filterText === '{}' ? t`No incidents` : t`No incidents that fit the filters`}>
              {filterText === '{}' ? (
                <Trans>As soon as a rule matches, what it found appears here.</Trans>
              ) : (
                <Button size="xs" variant="default" onClick={() => void navigate({ search: {} })}>
                  <Trans>Without filters</Trans>
                </Button>
              )}
            </Empty>
          )}
          {incidents.length > 0 && (
            <IncidentTable
              key={filterText}
              incidents={incidents}
              startAt={at}
              onStand={setStand}
              onReach={reach}
              crowded={facets}
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
          <Suspense fallback={null}>
            {mayDecide && chosen.length > 0 && (
              <BulkBar incidents={chosen} triage={triage} onClear={selection.clear} />
            )}
          </Suspense>
          {asks && chosen.length === 0 && !panel && (
            <div className={classes.question}>
              <CloseQuestion
                incidents={triage.closing}
                onVerdict={triage.closeAs}
                onLeave={triage.leaveOpen}
              />
            </div>
          )}
        </div>
        <PanelPlace label={t`Incident`} open={panel !== undefined} onClose={close}>
          <Suspense fallback={<Loading />}>
            {panel !== undefined && (
              <IncidentPanel
                key={panel}
                id={panel}
                triage={triage}
                onSuppress={suppressLike}
                onClose={close}
              />
            )}
          </Suspense>
        </PanelPlace>
        {suppress && maySuppress && <SuppressLike id={suppress} onClose={() => suppressLike(undefined)} />}
      </div>
    </QueueContext>
  );
}

/** The ways that leave the list where it is: each has an address. */
function useWays() {
  const navigate = route.useNavigate();
  const router = useRouter();
  return useMemo(() => {
    const stay = { resetScroll: false } as const;
    return {
      /** The reader has come to a row: a panel that is open follows. */
      reach: (id: string) => {
        // Who has left meanwhile must not be brought back.
        if (router.latestLocation.pathname !== route.id) return;
        void navigate({
          search: (before) => ({ ...before, at: id, ...(before.panel && { panel: id }) }),
          replace: true,
          ...stay,
        });
      },
      open: (id: string) =>
        void navigate({ search: (before) => ({ ...before, at: id, panel: id }), ...stay }),
      close: () => void navigate({ search: ({ panel: _, ...before }) => before, replace: true, ...stay }),
      suppressLike: (id: string | undefined) =>
        void navigate({
          search: ({ suppress: _, ...before }) => (id ? { ...before, suppress: id } : before),
          replace: true,
          ...stay,
        }),
    };
  }, [navigate, router]);
}

/** The dialog that suppresses, for an incident of which the list knows too little. */
function SuppressLike({ id, onClose }: { id: string; onClose: () => void }) {
  const { data } = useQuery(incidentQuery(id));
  const alert = data && leadOf(data);
  if (!data || !alert) return null;
  return (
    <Suspense fallback={null}>
      <SuppressDialog incident={data} alert={alert} onClose={onClose} />
    </Suspense>
  );
}

/** Says how many incidents came since the list was read, and shows them when asked. */
function NewPill({ filter }: { filter: IncidentFilter }) {
  const live = useLive();
  const waiting = useSyncExternalStore(live.subscribe, live.get);
  const { data } = useInfiniteQuery(incidentsQuery(filter));
  const [busy, setBusy] = useState(false);
  const units = useQuery({ ...unitsQuery, enabled: filter.unit_below !== undefined });
  const below = useMemo(
    () => filter.unit_below && unitsBelow(units.data?.items ?? [], filter.unit_below),
    [filter, units.data],
  );
  const count = useMemo(
    () => newFor(data, filter, waiting, below || undefined).length,
    [data, filter, waiting, below],
  );
  const pill = useRef<HTMLDivElement>(null);

  // Into an empty list they come by themselves: there is no row that could move.
  const empty = data?.pages.every((page) => page.items.length === 0) ?? false;
  useEffect(() => {
    if (empty && count > 0) void live.showNewest(filter);
  }, [empty, count, live, filter]);

  async function show() {
    setBusy(true);
    try {
      await live.showNewest(filter);
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
