import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { type ReactNode, Suspense, useMemo } from 'react';
import { type ConditionPart, type NamedValue, type RuleText, SEVERITIES } from '../api/types';
import { lazyPart } from '../app/lazily';
import { SeverityBadge, Tag } from '../app/parts';
import { useTitle } from '../app/titles';
import { ConditionTree } from '../rules/ConditionTree';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { RuleSource } from '../text/RuleSource';
import classes from './RuleCard.module.css';

// Reading YAML is a program of its own.
const CorrelationFacts = lazyPart(() => import('../rules/CorrelationFacts'));

interface RuleCardProps {
  rule: RuleText;
  /** Its condition, where the server tells it: judged on an event, or only named. */
  condition: ConditionPart | null | undefined;
  /** What matched in its events. */
  matched: NamedValue[];
  /** Which event the condition was judged on. */
  children?: ReactNode;
  /** The level of its title on the page, below a section's without it; none on the rule's own page. */
  heading?: 'h2' | 'h3' | 'none';
}

/** The rule that matched: what it is for, why it matched, and its text with the lines marked that test what matched. */
export function RuleCard({ rule, condition, matched, children, heading: Heading = 'h3' }: RuleCardProps) {
  const { t, i18n } = useLingui();
  const titleOf = useTitle();
  const names = useMemo(() => new Set(matched.map(({ name }) => name)), [matched]);
  const severity = SEVERITIES.find((each) => each === rule.level);
  const title = titleOf(rule);
  const description = i18n.locale === 'vi' && rule.description_vi ? rule.description_vi : rule.description;
  return (
    <article className={classes.rule} data-testid="rule">
      {Heading !== 'none' && (
        <Heading className={classes.title}>
          <Link to="/rules/$id" params={{ id: rule.id }}>
            {title}
          </Link>
        </Heading>
      )}
      <div className={classes.facts}>
        {severity ? <SeverityBadge severity={severity} /> : <span>{plain(rule.level)}</span>}
        {rule.correlation && <Tag tag={t`correlation`} />}
        {rule.tags.map((tag) => (
          <Tag key={tag} tag={plain(tag)} />
        ))}
      </div>
      {description && (
        <p className={classes.description}>
          <LogText text={description} />
        </p>
      )}
      {children}
      {condition && <ConditionTree root={condition} />}
      <Suspense fallback={null}>{rule.correlation && <CorrelationFacts text={rule.text} />}</Suspense>
      <RuleSource text={rule.text} matched={names} label={t`Text of the rule ${title}`} />
      <p className={classes.hash} title={rule.content_hash}>
        <Trans>
          id {rule.id}, version {rule.content_hash.slice(0, 12)}
        </Trans>
      </p>
    </article>
  );
}
