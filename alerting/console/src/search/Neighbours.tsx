import { Trans, useLingui } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { neighboursQuery } from '../api/queries';
import type { EventDetail, EventRow } from '../api/types';
import { Failed, Loading } from '../app/parts';
import type { EventsSearch } from '../app/router';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { millisOf } from '../text/time';
import { writtenValue } from './language';
import classes from './Neighbours.module.css';
import { snippetOf } from './snippet';

interface NeighboursProps {
  event: EventDetail;
  /** The address that the links to events keep. */
  search: EventsSearch;
}

const AROUND_MS = 5 * 60_000;

/** What happened on the same host just before and after. */
export function Neighbours({ event, search }: NeighboursProps) {
  const { t } = useLingui();
  const { data, error, isPending, refetch } = useQuery(neighboursQuery(event.id));
  const time = millisOf(event.event_time) ?? 0;
  const around: EventsSearch = {
    q: event.host ? `host:${writtenValue(event.host)}` : '',
    from: new Date(time - AROUND_MS).toISOString(),
    to: new Date(time + AROUND_MS).toISOString(),
    event: event.id,
  };
  return (
    <section aria-label={t`Before and after it on this host`} data-testid="neighbours">
      <h3 className={classes.title}>
        <Trans>Before and after it on this host</Trans>
      </h3>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && (
        <ol className={classes.list}>
          {data.before.map((row) => (
            <Neighbour key={row.id} row={row} search={search} />
          ))}
          <li className={classes.here} aria-current="true">
            <Time at={event.event_time} precision="milliseconds" /> <Trans>this event</Trans>
          </li>
          {data.after.map((row) => (
            <Neighbour key={row.id} row={row} search={search} />
          ))}
        </ol>
      )}
      <Link to="/search" search={around}>
        <Trans>All of this host from 5 minutes before to 5 minutes after</Trans>
      </Link>
    </section>
  );
}

function Neighbour({ row, search }: { row: EventRow; search: EventsSearch }) {
  return (
    <li className={classes.row}>
      <Link to="/search" search={{ ...search, event: row.id }} resetScroll={false} className={classes.link}>
        <Time at={row.event_time} precision="milliseconds" />
      </Link>{' '}
      <span className={classes.text}>
        <LogText text={snippetOf(row, null)} />
      </span>
    </li>
  );
}
