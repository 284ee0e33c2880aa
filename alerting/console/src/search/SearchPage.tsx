import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { type EventSearch, eventHistogramQuery, eventsQuery } from '../api/queries';
import { PanelPlace } from '../app/PanelPlace';
import { Empty, Failed, Loading } from '../app/parts';
import type { EventsSearch } from '../app/router';
import { useSideShown } from '../app/useSideShown';
import { patternOf } from '../text/marks';
import { localTime } from '../text/time';
import { ViewMenu } from '../views/ViewMenu';
import { bucketsOf } from './buckets';
import { EventPanel } from './EventPanel';
import { EventTable } from './EventTable';
import { FieldPanel } from './FieldPanel';
// With the page: what comes later cannot come while there is no network.
import Histogram from './Histogram';
import { type Sense, wantedTexts, withCondition, withPhrase } from './language';
import { faultOf } from './QueryFault';
import { RANGE_WORDS, rangeOf, type TimeRange, widerThan } from './range';
import { SearchForm } from './SearchForm';
import classes from './SearchPage.module.css';
import { UnknownFields } from './UnknownFields';

const route = getRouteApi('/search');
const NO_VIEWS: { name: string; search: Record<string, string> }[] = [];

/** Events by time and text. The address holds the search and the event in the panel. */
export function SearchPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Search`} · Citywatch`);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { q = '', event: openId, field: openField, range: rangeName, from, to } = search;
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
  const searched = useMemo<EventSearch>(
    () => ({
      ...(range.fromMillis > 0 && { from: new Date(range.fromMillis).toISOString() }),
      to: new Date(range.toMillis).toISOString(),
      text: q,
    }),
    [range, q],
  );
  const found = useInfiniteQuery(eventsQuery(searched));
  const rows = useMemo(() => found.data?.pages.flatMap((page) => page.items) ?? [], [found.data]);
  const pattern = useMemo(() => patternOf(wantedTexts(q)), [q]);
  const fields = useSideShown({
    store: 'citywatch.fields-away',
    beside: openId !== undefined,
    show: t`Show the fields`,
    putAway: t`Put the fields away`,
  });

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
  const openTheField = useCallback(
    (name: string | undefined) => {
      void navigate({
        search: ({ field: _, ...rest }) => (name ? { ...rest, field: name } : rest),
        replace: true,
        resetScroll: false,
      });
    },
    [navigate],
  );
  // What is looked at stays open while the search is narrowed.
  const narrow = useCallback(
    (line: string) =>
      ask({
        q: line,
        ...times,
        ...(openId && { event: openId }),
        ...(openField && { field: openField }),
      }),
    [ask, times, openId, openField],
  );
  const addCondition = useCallback(
    (name: string, value: string, sense: Sense) => narrow(withCondition(q, name, value, sense)),
    [narrow, q],
  );
  const searchValue = useCallback(
    (value: string) => ask({ q: withPhrase('', value, 'include'), ...times }),
    [ask, times],
  );
  const fault = faultOf(found.error, q);

  return (
    <div className={classes.page}>
      {fields && (
        <FieldPanel searched={searched} open={openField} onOpen={openTheField} onCondition={addCondition} />
      )}
      <div className={classes.main} aria-busy={found.isPlaceholderData}>
        <h1 className="cw-only-heard">
          <Trans>Search over events</Trans>
        </h1>
        <div className={classes.head}>
          <SearchForm
            text={q}
            range={range}
            busy={found.isFetching && !found.isFetchingNextPage}
            error={found.error}
            searched={searched}
            onSearch={ask}
          >
            <ViewMenu screen="events" to="/search" search={{ q, ...times }} given={NO_VIEWS} size="sm" />
          </SearchForm>
          {rows.length > 0 && (
            <FoundOverTime
              searched={searched}
              range={range}
              onChoose={(fromMillis, toMillis) =>
                ask({ q, from: new Date(fromMillis).toISOString(), to: new Date(toMillis).toISOString() })
              }
            />
          )}
          {found.data && (
            <Summary
              searched={searched}
              count={rows.length}
              more={found.hasNextPage}
              pages={found.data.pages}
            />
          )}
        </div>
        {found.isPending && <Loading />}
        {!found.error && found.failureReason && <Failed error={found.failureReason} />}
        {found.error && !fault && <Failed error={found.error} retry={() => void found.refetch()} />}
        {found.data && rows.length === 0 && !found.isFetching && (
          <NothingFound
            range={range}
            searched={searched}
            onWiden={(name) => ask({ q, range: name })}
            onLine={narrow}
          />
        )}
        {rows.length > 0 && (
          <EventTable
            rows={rows}
            pattern={pattern}
            open={openId}
            crowded={fields}
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
            search={search}
            onSearch={searchValue}
            onCondition={addCondition}
            onClose={() => open(undefined)}
          />
        )}
      </PanelPlace>
    </div>
  );
}

interface SummaryProps {
  searched: EventSearch;
  count: number;
  more: boolean;
  pages: { elapsed_ms: number }[];
}

function Summary({ searched, count, more, pages }: SummaryProps) {
  const { i18n } = useLingui();
  const { data, isPlaceholderData } = useQuery(eventHistogramQuery(searched));
  const elapsed = Math.round(pages.at(-1)?.elapsed_ms ?? 0);
  const total = data && !isPlaceholderData ? i18n.number(data.total) : null;
  return (
    <p className={classes.summary} role="status">
      {!more && <Plural value={count} one="# event" other="# events" />}
      {more && total === null && <Trans>The newest {count} events; there are more</Trans>}
      {more && total !== null && (
        <Trans>
          The newest {count} of {total} events
        </Trans>
      )}
      {' · '}
      {`${elapsed}\u00a0ms`}
    </p>
  );
}

interface FoundOverTimeProps {
  searched: EventSearch;
  range: TimeRange;
  onChoose: (fromMillis: number, toMillis: number) => void;
}

/** When all that was found happened; of a range without a beginning, from the first event on. */
function FoundOverTime({ searched, range, onChoose }: FoundOverTimeProps) {
  const { t, i18n } = useLingui();
  const { data } = useQuery(eventHistogramQuery(searched));
  const buckets = useMemo(() => {
    const counted = data?.bars.map(({ at, events }) => ({ at: Date.parse(at) / 1000, count: events }));
    const span =
      range.fromMillis > 0 ? { from: range.fromMillis / 1000, to: range.toMillis / 1000 } : undefined;
    return counted ? bucketsOf(counted, data?.seconds ?? 0, span) : null;
  }, [data, range]);
  const shown = (seconds = 0) => localTime(new Date(seconds * 1000).toISOString(), Date.now());
  return (
    <div className={classes.histogramPlace}>
      {buckets && (
        <Histogram
          buckets={buckets}
          label={t`${i18n.number(data?.total ?? 0)} events over time, from ${shown(buckets.starts[0])} to ${shown((buckets.starts.at(-1) ?? 0) + buckets.widthMillis / 1000)}`}
          onChoose={onChoose}
        />
      )}
    </div>
  );
}

interface NothingFoundProps {
  range: TimeRange;
  searched: EventSearch;
  onWiden: (name: string) => void;
  onLine: (line: string) => void;
}

function NothingFound({ range, searched, onWiden, onLine }: NothingFoundProps) {
  const { t } = useLingui();
  const wider = widerThan(range.name);
  return (
    <Empty title={t`Nothing found`}>
      <UnknownFields searched={searched} onLine={onLine} />
      {wider && (
        <Button variant="default" size="xs" onClick={() => onWiden(wider)}>
          <Trans>Look wider: {t(RANGE_WORDS[wider])}</Trans>
        </Button>
      )}
    </Empty>
  );
}
