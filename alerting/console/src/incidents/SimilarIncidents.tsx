import { Plural, Trans } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { similarQuery } from '../api/queries';
import { Failed, Loading, StateBadge, VerdictBadge } from '../app/parts';
import { useTitle } from '../app/titles';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './SimilarIncidents.module.css';

/** Incidents like this one and what was decided about them: the likest first. */
export function SimilarIncidents({ id, className }: { id: string; className: string }) {
  const titleOf = useTitle();
  const { data, error, isPending, refetch } = useQuery(similarQuery(id));
  return (
    <section aria-labelledby="similar" className={className}>
      <h2 id="similar">
        <Trans>Similar incidents</Trans>
      </h2>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && (
        <p className={classes.soft}>
          <Trans>There was none like it yet.</Trans>
        </p>
      )}
      <ul className={classes.list}>
        {data?.items.map((item) => (
          <li key={item.id} data-testid="similar">
            <div className={classes.head}>
              {item.verdict ? <VerdictBadge verdict={item.verdict} /> : <StateBadge state={item.state} />}
              <Link to="/incidents/$id" params={{ id: item.id }}>
                #{item.number} {titleOf(item)}
              </Link>
            </div>
            {item.verdict_reason && (
              <p className={classes.reason}>
                <LogText text={item.verdict_reason} />
              </p>
            )}
            <p className={classes.soft}>
              <Time at={item.created_at} />
              {item.same_rule && (
                <>
                  {' · '}
                  <Trans>same rule</Trans>
                </>
              )}
              {item.shared_entities > 0 && (
                <>
                  {' · '}
                  <Plural value={item.shared_entities} one="# name in common" other="# names in common" />
                </>
              )}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}
