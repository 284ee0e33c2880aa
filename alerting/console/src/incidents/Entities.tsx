import { useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Fragment } from 'react';
import type { Entity, Incident } from '../api/types';
import { ENTITY_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import classes from './Entities.module.css';

/** Who and what an incident names: each leads to its events, and to the other incidents that name it. */
export function Entities({ incident }: { incident: Incident }) {
  const { t } = useLingui();
  const others = incident.entities.filter(({ value }) => value !== incident.host);
  return (
    <dl className={classes.facts}>
      <dt>{t`Unit`}</dt>
      <dd>
        {incident.unit ? (
          <Link to="/incidents" search={{ unit: incident.unit }} title={t`Incidents of this unit`}>
            <bdi>{plain(incident.unit)}</bdi>
          </Link>
        ) : (
          '–'
        )}
      </dd>
      <dt>{t`Host`}</dt>
      <dd>{incident.host ? <Value entity={{ kind: 'host', value: incident.host }} /> : '–'}</dd>
      {others.map((entity) => {
        const word = ENTITY_WORDS[entity.kind];
        return (
          <Fragment key={`${entity.kind} ${entity.value}`}>
            <dt>{word ? t(word) : plain(entity.kind)}</dt>
            <dd>
              <Value entity={entity} />
            </dd>
          </Fragment>
        );
      })}
    </dl>
  );
}

function Value({ entity }: { entity: Entity }) {
  const { t } = useLingui();
  const shown = plain(entity.value);
  return (
    <>
      <Link to="/entity" search={entity} title={t`What is known of it`}>
        <bdi>{shown}</bdi>
      </Link>{' '}
      <Link
        to="/search"
        search={{ q: `"${entity.value}"`, range: '7d' }}
        className={classes.incidents}
        aria-label={t`Events that name ${shown}`}
        title={t`Events that name ${shown}`}
      >
        {t`events`}
      </Link>
    </>
  );
}
