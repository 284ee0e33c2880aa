import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { incidentQuery } from '../api/queries';
import type { IncidentDetail } from '../api/types';
import { Icon } from '../app/icons';
import { useKey } from '../app/keys';
import { Failed, Loading, SeverityBadge, StateBadge, Tag, VerdictBadge } from '../app/parts';
import { useRole } from '../app/roles';
import { useTitle } from '../app/titles';
import { SuppressDialog } from '../suppressions/SuppressDialog';
import { Time } from '../text/Time';
import { AlertList } from './AlertList';
import { Clocks, NextClock } from './Clocks';
import { Comments } from './Comments';
import { Decision } from './Decision';
import { Entities } from './Entities';
import { EventCount } from './EventCount';
import { ExplainedRule } from './ExplainedRule';
import { History } from './History';
import classes from './IncidentPage.module.css';
import { leadOf } from './lead';
import { MergedInto } from './MergedInto';
import { SimilarIncidents } from './SimilarIncidents';
import { StateChange } from './StateChange';
import { Story } from './Story';
import { Timeline } from './Timeline';

const route = getRouteApi('/incidents/$id');

/** Everything about one incident on one page. */
export function IncidentPage() {
  const { t } = useLingui();
  const { id } = route.useParams();
  const { data, error, isPending, refetch } = useQuery(incidentQuery(id));
  const titleOf = useTitle();
  useDocumentTitle(`${data ? `#${data.number} ${titleOf(data)}` : t`Incident`} · Citywatch`);
  return (
    <article className={classes.page}>
      <Link to="/incidents" search={{ at: id }} className={classes.back}>
        <Icon name="back" size={14} />
        <Trans>All incidents</Trans>
      </Link>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && <Loaded incident={data} />}
    </article>
  );
}

function Loaded({ incident }: { incident: IncidentDetail }) {
  const matched = useMemo(
    () =>
      new Map(
        incident.rules.map(({ id }) => [
          id,
          incident.events.filter((each) => each.rule_ids.includes(id)).flatMap((each) => each.matched),
        ]),
      ),
    [incident.rules, incident.events],
  );
  const { t } = useLingui();
  const titleOf = useTitle();
  const { event, suppress } = route.useSearch();
  const navigate = route.useNavigate();
  const maySuppress = useRole('lead');
  const suppressLike = useCallback(
    (alert: string | undefined) =>
      void navigate({
        search: ({ suppress: _, ...before }) => (alert ? { ...before, suppress: alert } : before),
        replace: true,
        resetScroll: false,
      }),
    [navigate],
  );
  // What was merged is to be read; all that goes on does so elsewhere.
  const into = incident.merged_into;
  const lead = into ? undefined : leadOf(incident)?.id;
  useKey('s', maySuppress && lead ? () => suppressLike(lead) : undefined, t`Suppress alerts like this`);
  const [closing, setClosing] = useState(false);
  // Whoever judged or reopened it meanwhile has answered.
  const asks = closing && !incident.verdict && incident.state === 'resolved';
  const suppressed = maySuppress && incident.alerts.find((alert) => alert.id === suppress);
  return (
    <>
      {suppressed && (
        <SuppressDialog incident={incident} alert={suppressed} onClose={() => suppressLike(undefined)} />
      )}
      <header className={classes.head}>
        <div className={classes.badges}>
          <SeverityBadge severity={incident.severity} />
          <StateBadge state={incident.state} />
          {incident.verdict && <VerdictBadge verdict={incident.verdict} />}
          {!into && <NextClock clocks={incident.clocks} />}
          <span className={classes.soft}>
            <Trans>
              Incident #{incident.number}, detected <Time at={incident.created_at} />
            </Trans>
          </span>
        </div>
        <h1 className={classes.title}>{titleOf(incident)}</h1>
        {into ? (
          <MergedInto id={into} />
        ) : (
          <>
            <Story incident={incident} />
            <StateChange incident={incident} closing={asks} onClosing={setClosing} />
            <Decision incident={incident} closing={asks} onClosing={setClosing} />
          </>
        )}
      </header>

      <div className={classes.columns}>
        <div className={classes.first}>
          {(!into || incident.events.length > 0) && (
            <section aria-labelledby="events">
              <h2 id="events">
                <Trans>What happened</Trans>{' '}
                <span className={classes.soft}>
                  <EventCount incident={incident} />
                </span>
              </h2>
              <Timeline
                incident={incident}
                open={event}
                onOpen={(opened) =>
                  void navigate({
                    search: ({ event: _, ...before }) => (opened ? { ...before, event: opened } : before),
                    replace: true,
                    resetScroll: false,
                  })
                }
              />
            </section>
          )}
          <section aria-labelledby="comments" className={classes.card}>
            <h2 id="comments">
              <Trans>Comments</Trans>
            </h2>
            <Comments incident={incident} />
          </section>
        </div>
        <div className={classes.second}>
          <section aria-labelledby="about" className={classes.card}>
            <h2 id="about">
              <Trans>Who and where</Trans>
            </h2>
            <Entities incident={incident} />
            {incident.tags.length > 0 && (
              <div className={classes.tags}>
                {incident.tags.map((tag) => (
                  <Tag key={tag} tag={tag} />
                ))}
              </div>
            )}
          </section>
          {!into && incident.clocks.length > 0 && (
            <section aria-labelledby="clocks" className={classes.card}>
              <h2 id="clocks">
                <Trans>Clocks</Trans>
              </h2>
              <Clocks incident={incident} />
            </section>
          )}
          {(!into || incident.alerts.length > 0) && (
            <section aria-labelledby="alerts" className={classes.card}>
              <h2 id="alerts">
                <Trans>Alerts</Trans> <span className={classes.soft}>{incident.alert_count}</span>
              </h2>
              <AlertList
                alerts={incident.alerts}
                total={incident.alert_count}
                rules={incident.rules}
                onSuppress={maySuppress && !into ? suppressLike : undefined}
              />
            </section>
          )}
          {!into && <SimilarIncidents incident={incident} className={classes.card ?? ''} />}
          <section aria-labelledby="rules" className={classes.card}>
            <h2 id="rules">
              <Plural value={incident.rules.length} one="The rule" other="The rules" />
            </h2>
            {incident.rules.map((rule) => (
              <ExplainedRule
                key={rule.id}
                incident={incident}
                rule={rule}
                matched={matched.get(rule.id) ?? []}
                open={event}
              />
            ))}
          </section>
          <section aria-labelledby="history" className={classes.card}>
            <h2 id="history">
              <Trans>History</Trans>
            </h2>
            <History entries={incident.history} />
          </section>
        </div>
      </div>
    </>
  );
}
