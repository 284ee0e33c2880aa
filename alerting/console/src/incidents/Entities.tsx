import { Trans, useLingui } from '@lingui/react/macro';
import { UnstyledButton } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Fragment, useState } from 'react';
import type { Entity, Incident } from '../api/types';
import { Icon } from '../app/icons';
import { UnitName } from '../app/UnitName';
import { ENTITY_WORDS } from '../app/words';
import { brief, LINK_CHARS_MAX } from '../text/hostile';
import classes from './Entities.module.css';

/** Who and what an incident names: each leads to its events, and to the other incidents that name it. */
export function Entities({ incident }: { incident: Incident }) {
  const { t } = useLingui();
  const byKind = new Map<string, Entity[]>();
  // The host that it happened on comes first.
  if (incident.host) byKind.set('host', [{ kind: 'host', value: incident.host }]);
  for (const entity of incident.entities) {
    if (entity.kind === 'host' && entity.value === incident.host) continue;
    byKind.set(entity.kind, [...(byKind.get(entity.kind) ?? []), entity]);
  }
  return (
    <dl className={classes.facts}>
      <dt>{t`Unit`}</dt>
      <dd>
        {incident.unit ? (
          <Link to="/incidents" search={{ unit: incident.unit }} title={t`Incidents of this unit`}>
            <UnitName id={incident.unit} />
          </Link>
        ) : (
          '–'
        )}
      </dd>
      {[...byKind].map(([kind, entities]) => {
        const word = ENTITY_WORDS[kind];
        return (
          <Fragment key={kind}>
            <dt>{word ? t(word) : brief(kind)}</dt>
            <dd>
              <Values entities={entities} />
            </dd>
          </Fragment>
        );
      })}
    </dl>
  );
}

const SHOWN_FIRST = 8;

function Values({ entities }: { entities: Entity[] }) {
  const [all, setAll] = useState(false);
  const more = entities.length - SHOWN_FIRST;
  return (
    <ul className={classes.values}>
      {entities.slice(0, all ? undefined : SHOWN_FIRST).map((entity) => (
        <li key={entity.value}>
          <Value entity={entity} />
        </li>
      ))}
      {more > 0 && !all && (
        <li>
          <UnstyledButton className={classes.more} onClick={() => setAll(true)}>
            <Trans>{more} more</Trans>
          </UnstyledButton>
        </li>
      )}
    </ul>
  );
}

function Value({ entity }: { entity: Entity }) {
  const { t } = useLingui();
  const shown = brief(entity.value);
  if (entity.value.length > LINK_CHARS_MAX) return <bdi>{shown}</bdi>;
  return (
    <>
      <Link to="/entity" search={entity} title={t`What is known of it`}>
        <bdi>{shown}</bdi>
      </Link>
      <Link
        to="/search"
        search={{ q: `"${entity.value}"`, range: '7d' }}
        className={classes.events}
        aria-label={t`Events that name ${shown}`}
        title={t`Events that name ${shown}`}
      >
        <Icon name="search" size={13} />
      </Link>
    </>
  );
}
