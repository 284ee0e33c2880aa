import { Plural, Trans, useLingui } from '@lingui/react/macro';
import type { Incident, IncidentDetail } from '../api/types';
import { useTitle } from '../app/titles';
import { useUnitName } from '../app/UnitName';
import { brief } from '../text/hostile';
import { Time } from '../text/Time';
import { EventCount } from './EventCount';
import classes from './Story.module.css';
import { useTacticName } from './tactics';

/** What happened, in a sentence; and how far an attack has come. */
export function Story({ incident }: { incident: IncidentDetail }) {
  const titleOf = useTitle();
  const unitName = useUnitName();
  const rule = <b>{titleOf(incident.rule)}</b>;
  const host = <Values values={hostsOf(incident)} />;
  const unit = <Value text={unitName(incident.unit)} />;
  const events = <EventCount incident={incident} />;
  const { rule_count: rules, first_event_at: first, last_event_at: last } = incident;
  const when =
    first === last ? (
      <Trans>
        at <Time at={first} />
      </Trans>
    ) : (
      <Trans>
        between <Time at={first} /> and <Time at={last} />
      </Trans>
    );
  return (
    <>
      <p className={classes.story} data-testid="story">
        {rules > 1 ? (
          <Trans>
            {events} on {host} ({unit}) {when} matched {rules} rules, the most severe of them {rule}
          </Trans>
        ) : incident.rule.correlation ? (
          <Trans>
            {events} on {host} ({unit}) {when} together fulfil the correlation rule {rule}
          </Trans>
        ) : (
          <Trans>
            {events} on {host} ({unit}) {when} matched the rule {rule}
          </Trans>
        )}
        <Who incident={incident} />.
      </p>
      <Tactics tactics={incident.tactics} />
    </>
  );
}

/** The host that was heard of last, and the others. */
function hostsOf(incident: Incident): string[] {
  return [incident.host, ...valuesOf(incident, 'host').filter((host) => host !== incident.host)];
}

/** What the attacker was after, in ATT&CK's order. */
function Tactics({ tactics }: { tactics: string[] }) {
  const { t } = useLingui();
  const nameOf = useTacticName();
  if (tactics.length < 2) return null;
  return (
    <ol className={classes.tactics} aria-label={t`Tactics`} data-testid="tactics">
      {tactics.map((tactic) => (
        <li key={tactic}>{nameOf(tactic)}</li>
      ))}
    </ol>
  );
}

function Who({ incident }: { incident: Incident }) {
  const users = valuesOf(incident, 'user');
  const addresses = valuesOf(incident, 'address');
  return (
    <>
      {users.length > 0 && (
        <>
          {'; '}
          <Plural value={users.length} one="user" other="users" /> <Values values={users} />
        </>
      )}
      {addresses.length > 0 && (
        <>
          {'; '}
          <Plural value={addresses.length} one="address" other="addresses" /> <Values values={addresses} />
        </>
      )}
    </>
  );
}

const VALUES_SHOWN = 3;

function Values({ values }: { values: string[] }) {
  const more = values.length - VALUES_SHOWN;
  return (
    <>
      {values.slice(0, VALUES_SHOWN).map((value, at) => (
        <span key={value}>
          {at > 0 && ', '}
          <Value text={value} />
        </span>
      ))}
      {more > 0 && <Trans> and {more} more</Trans>}
    </>
  );
}

function valuesOf(incident: Incident, kind: string): string[] {
  return incident.entities.filter((entity) => entity.kind === kind).map((entity) => entity.value);
}

/** A name from a log inside a sentence: cannot turn the words around it. */
function Value({ text }: { text: string }) {
  return <bdi className={classes.value}>{brief(text) || '?'}</bdi>;
}
