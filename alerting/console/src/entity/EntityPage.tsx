import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import tableClasses from '../administration/parts.module.css';
import { TableFrame } from '../administration/TableFrame';
import { ApiError } from '../api/client';
import { entityQuery } from '../api/queries';
import type { EntityDetail } from '../api/types';
import { Empty, Failed, Loading, SeverityBadge, StateBadge, VerdictBadge } from '../app/parts';
import { useTitle } from '../app/titles';
import { UnitName, useUnitName } from '../app/UnitName';
import { ENTITY_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import classes from './EntityPage.module.css';

const route = getRouteApi('/entity');

/** What is known of a host, a user, an address, a file or a digest. */
export function EntityPage() {
  const { t } = useLingui();
  const { kind, value } = route.useSearch();
  const shown = plain(value);
  useDocumentTitle(`${shown} · Citywatch`);
  const { data, error, isPending, refetch } = useQuery(entityQuery(kind, value));
  const word = ENTITY_WORDS[kind];
  const unknown = error instanceof ApiError && error.status === 404;
  return (
    <article className={classes.page}>
      <p className={classes.kind}>{word ? t(word) : plain(kind)}</p>
      <h1 className={classes.title}>
        <bdi>{shown}</bdi>
      </h1>
      <p>
        <Link to="/search" search={{ q: `"${value}"`, range: '7d' }}>
          <Trans>Events of the last 7 days</Trans>
        </Link>
      </p>
      {isPending && <Loading />}
      {unknown && <Empty title={t`No incident names it`} />}
      {error && !unknown && <Failed error={error} retry={() => void refetch()} />}
      {data && <Loaded entity={data} />}
    </article>
  );
}

function Loaded({ entity }: { entity: EntityDetail }) {
  const { t } = useLingui();
  const titleOf = useTitle();
  const unitName = useUnitName();
  return (
    <>
      <p data-testid="entity-summary">
        <Plural value={entity.incident_count} one="# incident" other="# incidents" />
        {' · '}
        <Trans>{entity.open} open</Trans>
        {' · '}
        <Trans>
          first seen <Time at={entity.first_seen_at} />, last seen <Time at={entity.last_seen_at} />
        </Trans>
      </p>
      <p className={classes.soft}>
        <Trans>
          Judged: {entity.true_positives} true, {entity.benign_true_positives} benign,{' '}
          {entity.false_positives} false positives
        </Trans>
      </p>
      <p className={classes.soft}>
        {entity.units.map(({ unit, incidents }) => `${unitName(unit)} (${incidents})`).join(', ')}
      </p>
      <TableFrame label={t`Incidents`}>
        <table className={tableClasses.table} aria-label={t`Incidents`}>
          <thead>
            <tr>
              <th scope="col">{t`Severity`}</th>
              <th scope="col">{t`Incident`}</th>
              <th scope="col">{t`Unit`}</th>
              <th scope="col">{t`State`}</th>
              <th scope="col">{t`Last event`}</th>
            </tr>
          </thead>
          <tbody>
            {entity.incidents.map((incident) => (
              <tr key={incident.id} data-testid="entity-incident">
                <td>
                  <SeverityBadge severity={incident.severity} />
                </td>
                <td>
                  <Link to="/incidents/$id" params={{ id: incident.id }}>
                    #{incident.number} {titleOf(incident)}
                  </Link>
                </td>
                <td>
                  <UnitName id={incident.unit} />
                </td>
                <td>
                  <StateBadge state={incident.state} />{' '}
                  {incident.verdict && <VerdictBadge verdict={incident.verdict} />}
                </td>
                <td>
                  <Time at={incident.last_event_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </>
  );
}
