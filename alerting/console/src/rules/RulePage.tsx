import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type FormEvent, Suspense, useMemo } from 'react';
import { call } from '../api/client';
import { ruleDetailPath, ruleDetailQuery } from '../api/queries';
import type { NamedValue, RuleDetail, Why } from '../api/types';
import { Icon } from '../app/icons';
import { lazyPart } from '../app/lazily';
import { Failed, Loading } from '../app/parts';
import { useRole } from '../app/roles';
import { useTitle } from '../app/titles';
import { useDraft } from '../app/useDraft';
import { RuleCard } from '../incidents/RuleCard';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { bucketsOfDays } from './days';
import classes from './RulePage.module.css';

// Asked for with the page, not after the rule: where the network is slow its place would stand empty for as long again.
const loadHistogram = () => import('../search/Histogram');
// Where it fails it is asked for again when it is shown, and that is told.
loadHistogram().catch(() => undefined);
const Histogram = lazyPart(loadHistogram);
const route = getRouteApi('/rules/$id');
const NOTHING_MATCHED: NamedValue[] = [];

const WHY_WORDS: Record<Why, MessageDescriptor> = {
  switched_on: msg`Its matches become alerts: a shift lead switched it on.`,
  switched_off: msg`Its matches become no alerts: a shift lead switched it off.`,
  configured_on: msg`Its matches become alerts: the configuration names it.`,
  configured_off: msg`Its matches become no alerts: the configuration names it.`,
  level: msg`Its matches become no alerts: its level is too low.`,
  status: msg`Its matches become no alerts: rules of its status raise none.`,
  fits: msg`Its matches become alerts.`,
};

/** One rule: what it asks, what it found, whether it raises alerts. */
export function RulePage() {
  const { t } = useLingui();
  const { id } = route.useParams();
  const { data, error, isPending, refetch } = useQuery(ruleDetailQuery(id));
  const titleOf = useTitle();
  useDocumentTitle(`${data ? titleOf(data) : t`Rule`} · Citywatch`);
  return (
    <article className={classes.page}>
      <Link to="/rules" className={classes.back}>
        <Icon name="back" size={14} />
        <Trans>All rules</Trans>
      </Link>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && <Loaded rule={data} />}
    </article>
  );
}

function Loaded({ rule }: { rule: RuleDetail }) {
  const { t, i18n } = useLingui();
  const titleOf = useTitle();
  const mayswitch = useRole('lead');
  const share = rule.false_positive_share;
  const facts: [string, string][] = [
    [t`Incidents`, i18n.number(rule.incidents)],
    [t`Open`, i18n.number(rule.open)],
    [t`Alerts`, i18n.number(rule.alerts)],
    [t`Events`, i18n.number(rule.events)],
    [t`False positives`, share == null ? '–' : i18n.number(share, { style: 'percent' })],
    [t`Suppressed`, i18n.number(rule.hidden)],
    [t`Hidden while off`, i18n.number(rule.switched_off)],
    [
      t`Engine time`,
      rule.cost ? i18n.number(rule.cost.share, { style: 'percent', maximumFractionDigits: 1 }) : '–',
    ],
  ];
  return (
    <>
      <h1 className={classes.title}>{titleOf(rule)}</h1>
      <p className={classes.why} data-on={rule.alerts_on || undefined}>
        {t(WHY_WORDS[rule.why])}
        {!rule.loaded && (
          <>
            {' '}
            <Trans>No engine works with it now.</Trans>
          </>
        )}
      </p>
      <dl className={classes.facts}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p>
        <Link to="/incidents" search={{ rule: rule.id }}>
          <Plural value={rule.incidents} one="# incident" other="# incidents" />
        </Link>
        {rule.last_event_at && (
          <>
            {' · '}
            <Trans>
              last event <Time at={rule.last_event_at} />
            </Trans>
          </>
        )}
      </p>
      <Days rule={rule} />
      {mayswitch && <SwitchForm key={rule.version} rule={rule} />}
      <div className={classes.card}>
        <RuleCard
          heading="none"
          rule={{ ...rule, text: rule.text ?? '' }}
          condition={rule.condition}
          matched={NOTHING_MATCHED}
        />
      </div>
    </>
  );
}

function Days({ rule }: { rule: RuleDetail }) {
  const { t } = useLingui();
  const buckets = useMemo(() => bucketsOfDays(rule.days, Date.now()), [rule.days]);
  return (
    <section aria-labelledby="days">
      <h2 id="days">
        <Trans>Alerts of the last 30 days</Trans>
      </h2>
      <div className={classes.days}>
        <Suspense fallback={<Loading />}>
          <Histogram buckets={buckets} label={t`Alerts of the last 30 days`} />
        </Suspense>
      </div>
    </section>
  );
}

/** Says that a rule raises alerts, or that it raises none, and why. */
function SwitchForm({ rule }: { rule: RuleDetail }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [reason, setReason] = useDraft(`switch.${rule.id}`, '');
  const decided = rule.switch && typeof rule.switch.alerts === 'boolean' ? rule.switch : null;
  const save = useMutation({
    mutationFn: (alerts: boolean | null) =>
      call<RuleDetail>(ruleDetailPath(rule.id), {
        method: 'PATCH',
        body: { alerts, reason: reason.trim() },
        ifMatch: rule.version,
      }),
    onSuccess: () => setReason(''),
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ruleDetailQuery(rule.id).queryKey });
      void queries.invalidateQueries({ queryKey: ['rules'] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (reason.trim() && !save.isPending) save.mutate(!rule.alerts_on);
  };
  return (
    <section className={classes.card} aria-labelledby="switch">
      <h2 id="switch">
        <Trans>Switch its alerts on or off</Trans>
      </h2>
      {decided && (
        <p className={classes.soft}>
          {decided.alerts ? <Trans>switched on</Trans> : <Trans>switched off</Trans>}{' '}
          <Trans>
            by {plain(decided.changed_by)}, <Time at={decided.changed_at} />
          </Trans>
          : <LogText text={decided.reason} />
        </p>
      )}
      <form className={classes.form} onSubmit={submit}>
        <TextInput
          size="xs"
          aria-label={t`Why`}
          placeholder={t`Why`}
          maxLength={1_000}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <Button type="submit" size="xs" disabled={!reason.trim()} loading={save.isPending}>
          {rule.alerts_on ? <Trans>Raise no alerts</Trans> : <Trans>Raise alerts</Trans>}
        </Button>
        {decided && (
          <Button
            size="xs"
            variant="default"
            disabled={!reason.trim() || save.isPending}
            onClick={() => save.mutate(null)}
          >
            <Trans>As the configuration says</Trans>
          </Button>
        )}
      </form>
      {save.error && <Failed error={save.error} />}
    </section>
  );
}
