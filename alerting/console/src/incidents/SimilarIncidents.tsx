import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { similarQuery } from '../api/queries';
import type { Incident } from '../api/types';
import { Failed, Loading, StateBadge, VerdictBadge } from '../app/parts';
import { useRole } from '../app/roles';
import { useTitle } from '../app/titles';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { MergeDialog } from './MergeDialog';
import classes from './SimilarIncidents.module.css';

interface SimilarIncidentsProps {
  incident: Incident;
  className: string;
}

/** Incidents like this one and what was decided about them: the likest first. */
export function SimilarIncidents({ incident, className }: SimilarIncidentsProps) {
  const { t } = useLingui();
  const { id } = incident;
  const titleOf = useTitle();
  const mayMerge = useRole('analyst') && !incident.merged_into;
  const [merging, setMerging] = useState<Incident>();
  const navigate = useNavigate();
  const queries = useQueryClient();
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
              {mayMerge && !item.merged_into && (
                <Button
                  className={classes.merge ?? ''}
                  size="compact-xs"
                  variant="subtle"
                  aria-label={t`Merge with #${item.number}…`}
                  onClick={() => setMerging(item)}
                >
                  <Trans>Merge…</Trans>
                </Button>
              )}
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
      {merging && (
        <MergeDialog
          incidents={[incident, merging]}
          onClose={() => setMerging(undefined)}
          onMerged={(into) => {
            setMerging(undefined);
            void queries.invalidateQueries({ queryKey: ['similar'] });
            if (into.id !== id) void navigate({ to: '/incidents/$id', params: { id: into.id } });
          }}
        />
      )}
    </section>
  );
}
