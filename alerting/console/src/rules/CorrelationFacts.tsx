import { useLingui } from '@lingui/react/macro';
import { useMemo } from 'react';
import { plain } from '../text/hostile';
import classes from './ConditionTree.module.css';
import { correlationOf } from './correlation';

/** What a correlation counts, by its rule's text. */
export default function CorrelationFacts({ text }: { text: string }) {
  const { t } = useLingui();
  const correlation = useMemo(() => correlationOf(text), [text]);
  if (!correlation) return null;
  const facts: [string, string][] = [
    [t`Kind`, correlation.type.replace(/_/g, ' ')],
    [t`Rules`, correlation.rules.join(', ')],
    [t`Grouped by`, correlation.groupBy.join(', ')],
    [t`Within`, correlation.timespan],
    [t`Condition`, correlation.condition],
  ];
  return (
    <dl className={classes.facts} data-testid="condition">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{plain(value)}</dd>
          </div>
        ))}
    </dl>
  );
}
