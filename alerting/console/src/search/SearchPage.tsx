import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useMemo, useState } from 'react';
import { eventsQuery } from '../api/queries';
import type { EventRow } from '../api/types';
import { PanelPlace } from '../app/PanelPlace';
import { Empty, Failed, Loading } from '../app/parts';
import type { EventsSearch } from '../app/router';
import { patternOf, wordsOf } from '../text/marks';
import { localTime, millisOf } from '../text/time';
import { bucketsOf } from './buckets';
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
      <PanelPlace label={t`Event`} open={openId !== undefined} onClose={() => open(undefined)}>
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
  const { t } = useLingui();
  const times = useMemo(
    () => rows.map((row) => millisOf(row.event_time)).filter((time) => time !== null),
    [rows],
  );
  const bounded = range.fromMillis > 0;
  const first = bounded ? range.fromMillis : times.reduce((a, b) => Math.min(a, b), range.toMillis);
  const last = bounded ? range.toMillis : times.reduce((a, b) => Math.max(a, b), first + 1_000);
  const buckets = useMemo(() => bucketsOf(times, first, last), [times, first, last]);
  const shown = (millis: number) => localTime(new Date(millis).toISOString(), Date.now());
  return (
    <Suspense fallback={<div className={classes.histogramPlace} />}>
      <div className={classes.histogramPlace}>
        <Histogram
          buckets={buckets}
          label={t`${rows.length} events over time, from ${shown(first)} to ${shown(last)}`}
          onChoose={onChoose}
        />
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
