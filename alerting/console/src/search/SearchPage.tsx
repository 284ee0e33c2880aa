import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, Drawer } from '@mantine/core';
import { useDocumentTitle, useMediaQuery } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense, useCallback, useMemo, useState } from 'react';
import { eventsQuery } from '../api/queries';
import type { EventRow } from '../api/types';
import { Empty, Failed, Loading } from '../app/parts';
import type { EventsSearch } from '../app/router';
import { patternOf, wordsOf } from '../text/marks';
import { millisOf } from '../text/time';
import { EventPanel } from './EventPanel';
import { EventTable } from './EventTable';
import { RANGE_WORDS, rangeOf, type TimeRange, widerThan } from './range';
import { SearchForm } from './SearchForm';
import classes from './SearchPage.module.css';

const Histogram = lazy(() => import('./Histogram'));
const route = getRouteApi('/search');

/** Events by time and text. The address holds the search and the event in the panel. */
export function SearchPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Search`} · Citywatch`);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { q = '', event: openId, range: rangeName, from, to } = search;
  const times = useMemo(
    () => ({ ...(rangeName && { range: rangeName }), ...(from && { from }), ...(to && { to }) }),
    [rangeName, from, to],
  );

  // "The last hour" is fixed when it is asked for, so that the pages of one search fit together.
  const [askedAt, setAskedAt] = useState(() => Date.now());
  const range = useMemo(
    () =>
      rangeOf({ ...(rangeName && { range: rangeName }), ...(from && { from }), ...(to && { to }) }, askedAt),
    [rangeName, from, to, askedAt],
  );
  const found = useInfiniteQuery(
    eventsQuery({
      from: new Date(range.fromMillis).toISOString(),
      to: new Date(range.toMillis).toISOString(),
      text: q,
    }),
  );
  const rows = useMemo(() => found.data?.pages.flatMap((page) => page.items) ?? [], [found.data]);
  const pattern = useMemo(() => patternOf(wordsOf(q)), [q]);

  const ask = useCallback(
    (asked: EventsSearch) => {
      setAskedAt(Date.now());
      void navigate({ search: asked });
    },
    [navigate],
  );
  const open = useCallback(
    (id: string | undefined) => {
      void navigate({
        search: ({ event: _, ...rest }) => (id ? { ...rest, event: id } : rest),
        resetScroll: false,
      });
    },
    [navigate],
  );
  const searchValue = useCallback(
    (value: string) => ask({ q: `"${value.replace(/"/g, ' ')}"`, ...times }),
    [ask, times],
  );

  return (
    <div className={classes.page}>
      <div className={classes.main} aria-busy={found.isPlaceholderData}>
        <h1 className="cw-only-heard">
          <Trans>Search over events</Trans>
        </h1>
        <div className={classes.head}>
          <SearchForm
            text={q}
            range={range}
            busy={found.isFetching && !found.isFetchingNextPage}
            onSearch={ask}
          />
          {rows.length > 0 && (
            <FoundOverTime
              rows={rows}
              range={range}
              onChoose={(fromMillis, toMillis) =>
                ask({ q, from: new Date(fromMillis).toISOString(), to: new Date(toMillis).toISOString() })
              }
            />
          )}
          {found.data && <Summary count={rows.length} more={found.hasNextPage} pages={found.data.pages} />}
        </div>
        {found.isPending && <Loading />}
        {found.error && <Failed error={found.error} retry={() => void found.refetch()} />}
        {found.data && rows.length === 0 && !found.isFetching && (
          <NothingFound range={range} onWiden={(name) => ask({ q, range: name })} />
        )}
        {rows.length > 0 && (
          <EventTable
            rows={rows}
            pattern={pattern}
            open={openId}
            search={search}
            footer={
              found.hasNextPage ? (
                <Button
                  variant="default"
                  size="xs"
                  loading={found.isFetchingNextPage}
                  onClick={() => void found.fetchNextPage()}
                >
                  <Trans>Load more</Trans>
                </Button>
              ) : null
            }
          />
        )}
      </div>
      <PanelPlace open={openId !== undefined} onClose={() => open(undefined)}>
        {openId !== undefined && (
          <EventPanel
            key={openId}
            id={openId}
            pattern={pattern}
            onSearch={searchValue}
            onClose={() => open(undefined)}
          />
        )}
      </PanelPlace>
    </div>
  );
}

/** Beside the table where there is room, over it where there is not. */
function PanelPlace(props: { open: boolean; onClose: () => void; children: ReactNode }) {
  const { t } = useLingui();
  const beside = useMediaQuery('(min-width: 75em)', true, { getInitialValueInEffect: false });
  if (beside) return props.open ? <aside className={classes.panel}>{props.children}</aside> : null;
  if (!props.open) return null;
  return (
    <Drawer.Root opened onClose={props.onClose} position="right" size="min(40rem, 100%)">
      <Drawer.Overlay />
      <Drawer.Content aria-label={t`Event`}>
        <Drawer.Body p={0}>{props.children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}

function Summary(props: { count: number; more: boolean; pages: { elapsed_ms: number }[] }) {
  const elapsed = Math.round(props.pages.at(-1)?.elapsed_ms ?? 0);
  return (
    <p className={classes.summary} role="status">
      {props.more ? (
        <Trans>The newest {props.count} events; there are more</Trans>
      ) : (
        <Plural value={props.count} one="# event" other="# events" />
      )}
      {' · '}
      {elapsed} ms
    </p>
  );
}

interface FoundOverTimeProps {
  rows: EventRow[];
  range: TimeRange;
  onChoose: (fromMillis: number, toMillis: number) => void;
}

/** The histogram of what is loaded; of a range without a beginning, from the first event found. */
function FoundOverTime({ rows, range, onChoose }: FoundOverTimeProps) {
  const times = useMemo(
    () => rows.map((row) => millisOf(row.event_time)).filter((time) => time !== null),
    [rows],
  );
  const bounded = range.fromMillis > 0;
  const first = bounded ? range.fromMillis : times.reduce((a, b) => Math.min(a, b), range.toMillis);
  const last = bounded ? range.toMillis : times.reduce((a, b) => Math.max(a, b), first + 1_000);
  return (
    <Suspense fallback={<div className={classes.histogramPlace} />}>
      <div className={classes.histogramPlace}>
        <Histogram times={times} fromMillis={first} toMillis={last} onChoose={onChoose} />
      </div>
    </Suspense>
  );
}

function NothingFound({ range, onWiden }: { range: TimeRange; onWiden: (name: string) => void }) {
  const { t } = useLingui();
  const wider = widerThan(range.name);
  return (
    <Empty title={t`Nothing found`}>
      {wider && (
        <Button variant="default" size="xs" onClick={() => onWiden(wider)}>
          <Trans>Look wider: {t(RANGE_WORDS[wider])}</Trans>
        </Button>
      )}
    </Empty>
  );
}
