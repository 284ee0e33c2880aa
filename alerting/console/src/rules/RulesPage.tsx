import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { NativeSelect, TextInput, UnstyledButton } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import { ruleDetailQuery, rulesQuery } from '../api/queries';
import { type NamedValue, type RuleFigures, SEVERITIES } from '../api/types';
import { Empty, Failed, Loading, SeverityBadge } from '../app/parts';
import { RULE_ORDERS, type RuleOrder } from '../app/router';
import { useTitle } from '../app/titles';
import { RuleCard } from '../incidents/RuleCard';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { found, ordered } from './order';
import classes from './RulesPage.module.css';

const route = getRouteApi('/rules');
const NOTHING_MATCHED: NamedValue[] = [];

/** Rules that raised alerts: how often, and how often in vain. */
export function RulesPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Rules`} · Citywatch`);
  const { order = 'incidents', q = '', open } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(rulesQuery);
  const rules = useMemo(() => ordered(found(data?.items ?? [], q), order), [data, q, order]);
  const words: Record<RuleOrder, string> = {
    incidents: t`Most incidents`,
    false: t`Most false positives`,
    hidden: t`Most suppressed`,
    cost: t`Dearest`,
    last: t`Latest`,
  };
  const change = (part: { order?: RuleOrder; q?: string; open?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true, resetScroll: false });
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div className={classes.page} role="region" tabIndex={0} aria-labelledby="rules-title">
      <div className={classes.head}>
        <h1 id="rules-title" className={classes.title}>
          <Trans>Rules</Trans>
        </h1>
        {data && (
          <span className={classes.soft}>
            <Plural value={rules.length} one="# rule" other="# rules" />
          </span>
        )}
        <TextInput
          size="xs"
          type="search"
          className={classes.search ?? ''}
          aria-label={t`Find a rule`}
          placeholder={t`Find a rule`}
          value={q}
          onChange={(event) => change({ q: event.currentTarget.value })}
        />
        <NativeSelect
          size="xs"
          aria-label={t`Order`}
          value={order}
          onChange={(event) => {
            const chosen = RULE_ORDERS.find((each) => each === event.currentTarget.value);
            if (chosen) change({ order: chosen });
          }}
          data={RULE_ORDERS.map((value) => ({ value, label: words[value] }))}
        />
      </div>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && rules.length === 0 && (
        <Empty title={q ? t`No rule like that` : t`No rule has raised an alert yet`} />
      )}
      {rules.length > 0 && (
        <table className={classes.table} aria-label={t`Rules`}>
          <thead>
            <tr>
              <th scope="col">{t`Severity`}</th>
              <th scope="col">{t`Rule`}</th>
              <th
                scope="col"
                className={classes.number}
                title={t`Incidents that are called after it: it is the most severe of their rules`}
              >{t`Incidents`}</th>
              <th scope="col" className={classes.number}>{t`Open`}</th>
              <th scope="col" className={classes.number}>{t`Alerts`}</th>
              <th scope="col" className={classes.number}>{t`Events`}</th>
              <th scope="col" className={classes.number}>{t`False positives`}</th>
              <th scope="col" className={classes.number}>{t`Suppressed`}</th>
              <th
                scope="col"
                className={classes.number}
                title={t`Part of the engine's time, for the dearest rules`}
              >{t`Cost`}</th>
              <th scope="col">{t`Last event`}</th>
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <Row
                key={rule.id}
                rule={rule}
                open={rule.id === open}
                onToggle={() => change({ open: rule.id === open ? '' : rule.id })}
              />
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

interface RowProps {
  rule: RuleFigures;
  open: boolean;
  onToggle: () => void;
}

function Row({ rule, open, onToggle }: RowProps) {
  const { i18n } = useLingui();
  const titleOf = useTitle();
  const severity = SEVERITIES.find((each) => each === rule.level);
  const share = rule.false_positive_share;
  const number = (value: number) => <td className={classes.number}>{i18n.number(value)}</td>;
  return (
    <>
      <tr data-testid="rule-row" data-open={open || undefined}>
        <td>{severity ? <SeverityBadge severity={severity} /> : plain(rule.level)}</td>
        <td className={classes.name}>
          <UnstyledButton className={classes.toggle} aria-expanded={open} onClick={onToggle}>
            {titleOf(rule)}
          </UnstyledButton>
        </td>
        {number(rule.incidents)}
        {number(rule.open)}
        {number(rule.alerts)}
        {number(rule.events)}
        <td className={classes.number} data-bad={share != null && share >= 0.5 ? true : undefined}>
          {share == null ? '–' : i18n.number(share, { style: 'percent' })}
        </td>
        {number(rule.hidden)}
        <td className={classes.number}>
          {rule.cost ? i18n.number(rule.cost.share, { style: 'percent', maximumFractionDigits: 1 }) : '–'}
        </td>
        <td>{rule.last_event_at ? <Time at={rule.last_event_at} /> : '–'}</td>
      </tr>
      {open && (
        <tr>
          <td colSpan={10} className={classes.detail}>
            <Detail id={rule.id} />
          </td>
        </tr>
      )}
    </>
  );
}

function Detail({ id }: { id: string }) {
  const { data: rule, error, isPending, refetch } = useQuery(ruleDetailQuery(id));
  if (isPending) return <Loading />;
  if (error) return <Failed error={error} retry={() => void refetch()} />;
  return (
    <>
      <p className={classes.judged}>
        <Trans>
          Judged: {rule.true_positives} true, {rule.benign_true_positives} benign, {rule.false_positives}{' '}
          false positives
        </Trans>
        {rule.versions > 1 && (
          <>
            {' · '}
            <Plural value={rule.versions} one="# version raised alerts" other="# versions raised alerts" />
          </>
        )}
      </p>
      <RuleCard
        heading="h2"
        rule={{ ...rule, text: rule.text ?? '' }}
        condition={rule.condition}
        matched={NOTHING_MATCHED}
      />
    </>
  );
}
