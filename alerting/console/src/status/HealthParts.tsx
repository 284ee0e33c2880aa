import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { Plural, Trans, useLingui } from '@lingui/react/macro';
import tableClasses from '../administration/parts.module.css';
import { TableFrame } from '../administration/TableFrame';
import { UnitName } from '../app/UnitName';
import { spanOf } from '../incidents/clocks';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { agoText } from '../text/time';
import classes from './HealthParts.module.css';
import { bytesText, type Figure, type Health, type Trouble } from './health';
import { Saying } from './Saying';

const FIGURE_WORDS: Record<Figure['name'], MessageDescriptor> = {
  records_in: msg`records taken in`,
  events_stored: msg`events stored`,
  matches: msg`matches of single events`,
  matches_alerted: msg`of these, given to alerting`,
};

const TROUBLE_WORDS: Record<Trouble['name'], MessageDescriptor> = {
  agents_silent: msg`agents silent`,
  dead_letters: msg`dead letters`,
  events_with_problems: msg`events with problems`,
  dropped: msg`records dropped`,
  unreadable: msg`files that cannot be read`,
  records_beyond_quota: msg`records beyond a quota`,
  retries: msg`retries`,
};

const STAGE_WORDS: Record<string, MessageDescriptor> = {
  agent: msg`Agent`,
  console: msg`Console`,
  engine: msg`Engine`,
  rules: msg`Rules`,
  spool: msg`Spool`,
  store: msg`Event store`,
  kafka: msg`Kafka`,
  intake: msg`Intake of agents`,
  definitions: msg`Definitions of formats`,
  demonstration: msg`Demonstration`,
};

const STATE_WORDS: Record<string, MessageDescriptor> = {
  running: msg`running`,
  starting: msg`starting`,
  failed: msg`failed`,
  stopped: msg`stopped`,
  waiting: msg`waiting`,
  retrying: msg`being tried again`,
  caught_up: msg`caught up`,
  reading: msg`reading`,
  draining: msg`rotated away, read to its end`,
  unreadable: msg`cannot be read`,
};

const QUEUE_WORDS: Record<string, MessageDescriptor> = {
  transport: msg`queue before the engine`,
  writer: msg`queue before the event store`,
  alerting: msg`queue before alerting`,
};

function useWords() {
  const { t } = useLingui();
  return (words: Record<string, MessageDescriptor>, name: string) => {
    const word = words[name];
    return word ? t(word) : plain(name.replace(/_/g, ' '));
  };
}

/** Whether all is well, and what flows. */
export function Overview({ health }: { health: Health }) {
  const { i18n, t } = useLingui();
  const troubles = health.troubles.filter(({ count }) => count > 0);
  const { value, unit } = spanOf(health.uptimeSeconds * 1000);
  const span = i18n.number(value, { style: 'unit', unit, unitDisplay: 'long' });
  return (
    <section className={classes.overview} aria-label={t`Overview`}>
      <p className={classes.state} data-ready={health.ready || undefined}>
        {health.ready ? <Trans>Everything runs</Trans> : <Trans>Something does not run</Trans>}
        <span className={classes.soft}>
          <Trans>
            version {health.version}, running for {span}
          </Trans>
        </span>
      </p>
      <ul className={classes.figures}>
        {health.figures.map((figure) => (
          <li key={figure.name}>
            <b>{i18n.number(figure.perSecond, { maximumFractionDigits: 1 })}/s</b>
            <span>{t(FIGURE_WORDS[figure.name])}</span>
            <span className={classes.soft}>
              <Trans>{i18n.number(figure.total)} since the start</Trans>
            </span>
          </li>
        ))}
      </ul>
      {troubles.length > 0 && (
        <ul className={classes.troubles} data-testid="troubles">
          {troubles.map((trouble) => (
            <li key={trouble.name}>
              {t(TROUBLE_WORDS[trouble.name])}: <b>{i18n.number(trouble.count)}</b>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Stages({ health }: { health: Health }) {
  const { t } = useLingui();
  const word = useWords();
  return (
    <section aria-labelledby="stages">
      <h2 id="stages">
        <Trans>Stages</Trans>
      </h2>
      <TableFrame label={t`Stages`}>
        <table className={tableClasses.table} aria-label={t`Stages`}>
          <thead>
            <tr>
              <th scope="col">{t`Stage`}</th>
              <th scope="col">{t`State`}</th>
              <th scope="col">{t`Detail`}</th>
              <th scope="col">{t`Retries`}</th>
            </tr>
          </thead>
          <tbody>
            {health.stages.map((stage) => (
              <tr key={stage.name} data-testid="stage">
                <td>
                  <b>{word(STAGE_WORDS, stage.name)}</b>
                </td>
                <td>
                  <span className={classes.mark} data-good={stage.state === 'running' || undefined}>
                    {word(STATE_WORDS, stage.state)}
                  </span>
                </td>
                <td>
                  <Saying said={stage.said} detail={stage.detail} />
                </td>
                <td>{stage.retries}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </section>
  );
}

/** How full the queues and the disk are. */
export function Fill({ health }: { health: Health }) {
  const { t, i18n } = useLingui();
  const word = useWords();
  const { disk } = health;
  const queueName = (name: string) => {
    const number = /^worker (\d+)$/.exec(name)?.[1];
    return number ? t`queue of worker ${number}` : word(QUEUE_WORDS, name);
  };
  return (
    <section aria-labelledby="fill" className={classes.card}>
      <h2 id="fill">
        <Trans>Queues and room</Trans>
      </h2>
      {health.queues.map((queue) => (
        <Meter
          key={queue.name}
          name={queueName(queue.name)}
          share={queue.capacity > 0 ? queue.waiting / queue.capacity : 0}
          words={t`${i18n.number(queue.waiting)} of ${i18n.number(queue.capacity)} places`}
        />
      ))}
      {disk && (
        <Meter
          name={t`disk of the event store`}
          share={disk.usedPercent / 100}
          words={t`${bytesText(disk.freeBytes, i18n.locale)} free`}
        />
      )}
      {disk?.paused && (
        <p className={classes.bad}>
          <Trans>The disk is full: nothing is taken in until there is room.</Trans>
        </p>
      )}
      {health.rules && (
        <p className={classes.line}>
          <Plural
            value={health.rules.loaded}
            one="# rule loaded, also if it only feeds a correlation"
            other="# rules loaded, also those that only feed correlations"
          />
          {health.rules.refused > 0 && (
            <span className={classes.bad}>
              , <Plural value={health.rules.refused} one="# refused" other="# refused" />
            </span>
          )}
        </p>
      )}
      {health.rules?.errors.map((error) => (
        <p key={error} className={classes.bad}>
          <LogText text={error} />
        </p>
      ))}
    </section>
  );
}

function Meter({ name, share, words }: { name: string; share: number; words: string }) {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100);
  return (
    <div className={classes.meter}>
      <span>{name}</span>
      <span
        className={classes.bar}
        role="meter"
        aria-label={name}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        data-full={percent >= 80 || undefined}
      >
        <span style={{ width: `${percent}%` }} />
      </span>
      <span className={classes.soft}>{words}</span>
    </div>
  );
}

export function Agents({ health }: { health: Health }) {
  const { t, i18n } = useLingui();
  if (health.agents.length === 0) return null;
  const bytes = (value: number) => bytesText(value, i18n.locale);
  return (
    <section aria-labelledby="agents">
      <h2 id="agents">
        <Trans>Agents</Trans>
      </h2>
      <TableFrame label={t`Agents`}>
        <table className={tableClasses.table} aria-label={t`Agents`}>
          <thead>
            <tr>
              <th scope="col">{t`Agent`}</th>
              <th scope="col">{t`Unit`}</th>
              <th scope="col">{t`State`}</th>
              <th scope="col">{t`Not arrived yet`}</th>
              <th scope="col">{t`Dropped`}</th>
              <th scope="col">{t`Clock offset`}</th>
              <th scope="col">{t`Certificate until`}</th>
            </tr>
          </thead>
          <tbody>
            {health.agents.map((agent) => (
              <tr key={`${agent.unit} ${agent.agent}`} data-testid="agent">
                <td>
                  <b>{plain(agent.agent)}</b>
                  <p className={classes.soft}>
                    {[agent.host, agent.version].filter(Boolean).map(plain).join(' · ')}
                  </p>
                </td>
                <td>
                  <UnitName id={agent.unit} />
                </td>
                <td>
                  <span className={classes.mark} data-good={!agent.silent || undefined}>
                    {agent.silent ? <Trans>silent</Trans> : <Trans>heard</Trans>}
                  </span>
                  <p className={classes.soft}>{agoText(agent.heardSecondsAgo, i18n.locale)}</p>
                </td>
                <td>{agent.heardSinceStart ? bytes(agent.lagBytes) : '–'}</td>
                <td data-bad={agent.dropped > 0 || undefined}>
                  {agent.heardSinceStart ? i18n.number(agent.dropped) : '–'}
                </td>
                <td>
                  {agent.clockOffsetMs === null || !agent.heardSinceStart
                    ? '–'
                    : `${i18n.number(agent.clockOffsetMs)} ms`}
                </td>
                <td>{agent.certificateUntil ? <Time at={agent.certificateUntil} /> : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </section>
  );
}

export function Sources({ health }: { health: Health }) {
  const { t, i18n } = useLingui();
  const word = useWords();
  if (health.sources.length === 0) return null;
  return (
    <section aria-labelledby="sources">
      <h2 id="sources">
        <Trans>What the agent of this machine reads</Trans>
      </h2>
      <TableFrame label={t`Sources`}>
        <table className={tableClasses.table} aria-label={t`Sources`}>
          <thead>
            <tr>
              <th scope="col">{t`Source`}</th>
              <th scope="col">{t`State`}</th>
              <th scope="col">{t`Not arrived yet`}</th>
            </tr>
          </thead>
          <tbody>
            {health.sources.map((source) => (
              <tr key={source.path}>
                <td className={tableClasses.mono}>
                  {plain(source.path)}
                  {source.error && (
                    <p className={classes.bad}>
                      <LogText text={source.error} />
                    </p>
                  )}
                </td>
                <td>{word(STATE_WORDS, source.state)}</td>
                <td>{bytesText(source.lagBytes, i18n.locale)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </section>
  );
}
