import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { useLingui } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useMemo } from 'react';
import { rulesQuery } from '../api/queries';
import { useTitle } from '../app/titles';
import { plain } from '../text/hostile';
import classes from './ConditionTree.module.css';
import { correlationOf, spanOfText } from './correlation';

/** Sigma's types of correlations. */
const KINDS: Record<string, MessageDescriptor> = {
  event_count: msg`number of events`,
  value_count: msg`number of different values`,
  value_sum: msg`sum of values`,
  value_avg: msg`average of values`,
  value_percentile: msg`percentile of values`,
  value_median: msg`median of values`,
  temporal: msg`all of them, in any order`,
  temporal_ordered: msg`all of them, in this order`,
};

/** What a correlation counts, by its rule's text. */
export default function CorrelationFacts({ text }: { text: string }) {
  const { t, i18n } = useLingui();
  const correlation = useMemo(() => correlationOf(text), [text]);
  if (!correlation) return null;
  const kind = KINDS[correlation.type];
  const span = spanOfText(correlation.timespan);
  const facts: [string, ReactNode][] = [
    [t`Kind`, kind ? t(kind) : plain(correlation.type.replace(/_/g, ' '))],
    [t`Rules`, correlation.rules.length > 0 && <Rules named={correlation.rules} />],
    [t`Grouped by`, plain(correlation.groupBy.join(', '))],
    [
      t`Within`,
      span
        ? i18n.number(span.value, { style: 'unit', unit: span.unit, unitDisplay: 'long' })
        : plain(correlation.timespan),
    ],
    [t`Condition`, plain(correlation.condition)],
  ];
  return (
    <dl className={classes.facts} data-testid="condition">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** The rules that it counts, by their titles; one that nobody knows by its id is called as it is written. */
function Rules({ named }: { named: string[] }) {
  const titleOf = useTitle();
  const { data } = useQuery(rulesQuery);
  return (
    <ul className={classes.rules}>
      {named.map((each) => {
        const rule = data?.items.find(({ id }) => id === each);
        return (
          <li key={each}>
            {rule ? (
              <Link to="/rules/$id" params={{ id: rule.id }}>
                {titleOf(rule)}
              </Link>
            ) : (
              <code>{plain(each)}</code>
            )}
          </li>
        );
      })}
    </ul>
  );
}
