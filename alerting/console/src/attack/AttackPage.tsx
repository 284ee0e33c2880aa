import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { NativeSelect, UnstyledButton } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { attackQuery } from '../api/queries';
import type { AttackTechnique } from '../api/types';
import { useKey } from '../app/keys';
import { PanelHead, PanelPlace } from '../app/PanelPlace';
import { Empty, Failed, Loading } from '../app/parts';
import { useTitle } from '../app/titles';
import { useTacticName } from '../incidents/tactics';
import { plain } from '../text/hostile';
import classes from './AttackPage.module.css';
import { columnsOf, heatOf } from './matrix';

const route = getRouteApi('/attack');

const DAYS = [7, 30, 90, 365];

/** ATT&CK's matrix: what the rules look for, and what they found. */
export function AttackPage() {
  const { t } = useLingui();
  useDocumentTitle('ATT&CK · Citywatch');
  const { days = 30, open } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(attackQuery(days));
  const tacticName = useTacticName();
  const columns = useMemo(() => (data ? columnsOf(data) : []), [data]);
  const technique = data?.techniques.find(({ id }) => id === open);
  const choose = (id: string | undefined) =>
    void navigate({
      search: ({ open: _, ...before }) => (id ? { ...before, open: id } : before),
      resetScroll: false,
    });
  useKey('Escape', technique ? () => choose(undefined) : undefined, t`Close the panel`);
  return (
    <div className={classes.page}>
      <div className={classes.main}>
        <div className={classes.head}>
          <h1 className={classes.title}>ATT&CK</h1>
          {data && (
            <span className={classes.soft}>
              <Trans>version {data.version}</Trans>
              {' · '}
              <Plural value={data.techniques.length} one="# technique" other="# techniques" />
              {' · '}
              <span
                title={t`Rules that only feed correlations raise no alerts themselves and do not count here.`}
              >
                <Plural
                  value={data.rules_loaded}
                  one="# rule with alerts of its own"
                  other="# rules with alerts of their own"
                />
              </span>
            </span>
          )}
          <NativeSelect
            size="xs"
            className={classes.days ?? ''}
            aria-label={t`Alerts of`}
            value={String(days)}
            onChange={(event) => {
              const chosen = Number(event.currentTarget.value);
              void navigate({ search: (before) => ({ ...before, days: chosen }), replace: true });
            }}
            data={DAYS.map((each) => ({ value: String(each), label: t`Last ${each} days` }))}
          />
        </div>
        {isPending && <Loading />}
        {error && <Failed error={error} retry={() => void refetch()} />}
        {data && columns.length === 0 && <Empty title={t`No rule names a technique`} />}
        {columns.length > 0 && (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
          <div className={classes.matrix} role="group" aria-label={t`Matrix`} tabIndex={0}>
            {columns.map((column) => (
              <section
                key={column.tactic}
                className={classes.column}
                aria-labelledby={`tactic-${column.tactic}`}
              >
                <h2 id={`tactic-${column.tactic}`} className={classes.tactic}>
                  {tacticName(column.tactic)}
                  <Counts className={classes.soft} rules={column.rules} alerts={column.alerts} />
                </h2>
                {column.techniques.map((each) => (
                  <UnstyledButton
                    key={each.id}
                    className={classes.technique}
                    data-heat={heatOf(each.alerts)}
                    data-open={each.id === open || undefined}
                    data-testid="technique"
                    aria-expanded={each.id === open}
                    onClick={() => choose(each.id === open ? undefined : each.id)}
                  >
                    <b>
                      {plain(each.id)} <span className={classes.name}>{plain(each.name)}</span>
                    </b>
                    <Counts rules={each.rules.length} alerts={each.alerts} />
                  </UnstyledButton>
                ))}
              </section>
            ))}
          </div>
        )}
      </div>
      <PanelPlace label={t`Technique`} open={technique !== undefined} onClose={() => choose(undefined)}>
        {technique && <Technique technique={technique} onClose={() => choose(undefined)} />}
      </PanelPlace>
    </div>
  );
}

interface CountsProps {
  rules: number;
  alerts: number;
  className?: string | undefined;
}

function Counts({ rules, alerts, className }: CountsProps) {
  return (
    <span className={className}>
      <span className={classes.number}>
        <Plural value={rules} one="# rule" other="# rules" />
      </span>{' '}
      <span className={classes.number}>
        <Plural value={alerts} one="# alert" other="# alerts" />
      </span>
    </span>
  );
}

function Technique({ technique, onClose }: { technique: AttackTechnique; onClose: () => void }) {
  const { i18n, t } = useLingui();
  const titleOf = useTitle();
  return (
    <div className={classes.panel} data-testid="technique-panel">
      <PanelHead onClose={onClose}>
        {plain(technique.id)} {plain(technique.name)}
      </PanelHead>
      <p className={classes.soft}>
        <Plural value={technique.alerts} one="# alert" other="# alerts" />
        {' · '}
        <Plural value={technique.events} one="# event" other="# events" />
      </p>
      <table className={classes.rules} aria-label={t`Rules`}>
        <thead>
          <tr>
            <th scope="col">{t`Rule`}</th>
            <th scope="col">{t`Alerts`}</th>
          </tr>
        </thead>
        <tbody>
          {technique.rules.map((rule) => (
            <tr key={rule.id}>
              <td>
                <Link to="/rules/$id" params={{ id: rule.id }}>
                  {titleOf(rule)}
                </Link>{' '}
                {!rule.loaded && (
                  <span className={classes.soft}>
                    <Trans>no longer loaded</Trans>
                  </span>
                )}
              </td>
              <td>{i18n.number(rule.alerts)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
