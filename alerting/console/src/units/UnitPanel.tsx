import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { postureQuery } from '../api/queries';
import { SEVERITIES, type Unit } from '../api/types';
import { PanelHead } from '../app/PanelPlace';
import { Failed, Loading, SeverityBadge } from '../app/parts';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import classes from './UnitsPage.module.css';

interface UnitPanelProps {
  unit: Unit;
  onClose: () => void;
  /** Only for who may change units. */
  onChange?: ((form: 'edit' | 'merge') => void) | undefined;
}

/** How a unit stands, with those below it: open incidents, and which of its agents fell silent. */
export function UnitPanel({ unit, onClose, onChange }: UnitPanelProps) {
  const { t, i18n } = useLingui();
  const { data, error, isPending, refetch } = useQuery(postureQuery(unit.id));
  return (
    <div className={classes.panel} data-testid="unit-panel">
      <PanelHead onClose={onClose}>{plain(unit.name || unit.id)}</PanelHead>
      <p className={classes.id}>{plain(unit.id)}</p>
      {onChange && (
        <div className={classes.buttons}>
          <Button size="xs" variant="default" onClick={() => onChange('edit')}>
            <Trans>Rename or move…</Trans>
          </Button>
          <Button size="xs" variant="default" onClick={() => onChange('merge')}>
            <Trans context="units">Merge…</Trans>
          </Button>
        </div>
      )}
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
                <Link to="/incidents" search={{ unit_below: unit.id, state: 'open', severity }}>
                  {i18n.number(data.open[severity] ?? 0)}
                </Link>
              </li>
            ))}
          </ul>
          <p>
            {data.unassigned > 0 && (
              <Plural
                value={data.unassigned}
                one="# of them is assigned to nobody."
                other="# of them are assigned to nobody."
              />
            )}{' '}
            <Plural
              value={data.incidents}
              one="# incident in the last 30 days."
              other="# incidents in the last 30 days."
            />
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
                  <b>{plain(agent.agent)}</b>{' '}
                  {agent.silent ? <Trans>silent since</Trans> : <Trans>heard</Trans>}{' '}
                  <Time at={agent.last_heard_at} />
                </li>
              ))}
            </ul>
          ) : (
            <p>
              {data.agents ? (
                <Trans>No agent was heard from here.</Trans>
              ) : (
                <Trans>The event store does not answer: whether agents are silent is not known.</Trans>
              )}
            </p>
          )}
          {data.past.length > 0 && (
            <>
              <h3>
                <Trans>Earlier</Trans>
              </h3>
              <ul className={classes.past} aria-label={t`Earlier`}>
                {data.past.map((past) => (
                  <li key={past.from}>
                    <b>{plain(past.name)}</b>{' '}
                    {past.parent ? <Trans>below {plain(past.parent)}</Trans> : <Trans>at the top</Trans>},{' '}
                    <Trans>
                      from <Time at={past.from} /> to <Time at={past.to} />
                    </Trans>
                  </li>
                ))}
              </ul>
            </>
          )}
        </>
      )}
    </div>
  );
}
