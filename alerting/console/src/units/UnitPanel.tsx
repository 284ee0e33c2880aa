import { Trans, useLingui } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { postureQuery } from '../api/queries';
import { SEVERITIES, type Unit } from '../api/types';
import { Failed, Loading, SeverityBadge } from '../app/parts';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import classes from './UnitsPage.module.css';

/** How a unit stands, with those below it: open incidents, and which of its agents fell silent. */
export function UnitPanel({ unit }: { unit: Unit }) {
  const { t, i18n } = useLingui();
  const { data, error, isPending, refetch } = useQuery(postureQuery(unit.id));
  return (
    <div className={classes.panel} data-testid="unit-panel">
      <h2 className={classes.panelTitle}>{plain(unit.name || unit.id)}</h2>
      <p className={classes.id}>{plain(unit.id)}</p>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && (
        <>
          <h3>
            <Trans>Open incidents</Trans>
          </h3>
          <ul className={classes.open}>
            {SEVERITIES.map((severity) => (
              <li key={severity}>
                <SeverityBadge severity={severity} />{' '}
                <Link to="/incidents" search={{ unit: unit.id, state: 'open', severity }}>
                  {i18n.number(data.open[severity] ?? 0)}
                </Link>
              </li>
            ))}
          </ul>
          <p>
            <Trans>{data.unassigned} of them are assigned to nobody.</Trans>{' '}
            <Trans>{data.incidents} incidents in the last 30 days.</Trans>
          </p>
          {data.last_incident_at && (
            <p>
              <Trans>
                Last incident <Time at={data.last_incident_at} />
              </Trans>
            </p>
          )}
          <h3>
            <Trans>Agents</Trans>
          </h3>
          {data.agents?.length ? (
            <ul className={classes.agents} aria-label={t`Agents`}>
              {data.agents.map((agent) => (
                <li key={`${agent.unit} ${agent.agent}`} data-silent={agent.silent || undefined}>
                  <b>{plain(agent.agent)}</b> {agent.silent ? <Trans>silent</Trans> : <Trans>heard</Trans>}{' '}
                  <Time at={agent.last_heard_at} />
                </li>
              ))}
            </ul>
          ) : (
            <p>
              <Trans>No agent was heard from here.</Trans>
            </p>
          )}
        </>
      )}
    </div>
  );
}
