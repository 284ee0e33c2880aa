import { Trans, useLingui } from '@lingui/react/macro';
import { useMemo } from 'react';
import type { NamedValue } from '../api/types';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { patternOf } from '../text/marks';
import classes from './ConditionTree.module.css';
import { type Correlation, explain, type Group, heldBy, holds, type Node, type Test } from './condition';

interface ConditionTreeProps {
  /** The rule's text. */
  text: string;
  /** What matched in its events; without any the tree is shown unmarked. */
  matched: NamedValue[];
}

/** Why a rule matched: its condition as a tree, with the parts marked that were true, and by which values. */
export default function ConditionTree({ text, matched }: ConditionTreeProps) {
  const { t } = useLingui();
  const explained = useMemo(() => explain(text), [text]);
  if (!explained) return null;
  if ('correlation' in explained) return <CorrelationFacts correlation={explained.correlation} />;
  return (
    <section className={classes.tree} aria-label={t`Condition`} data-testid="condition">
      <Branch node={explained.tree} matched={matched} />
    </section>
  );
}

/** More branches than this are left to the rule's text. */
const CHILDREN_SHOWN = 40;

function Branch({ node, matched }: { node: Node; matched: NamedValue[] }) {
  if (node.kind === 'unread') return <code>{plain(node.text)}</code>;
  if (node.kind === 'test') return <TestLine test={node} matched={matched} />;
  const held = matched.length > 0 && holds(node, matched);
  const more = node.children.length - CHILDREN_SHOWN;
  return (
    <div className={classes.group} data-held={held || undefined}>
      <div className={classes.head}>
        <GroupWords group={node} /> <Held held={held} />
      </div>
      <ul className={classes.children}>
        {node.children.slice(0, CHILDREN_SHOWN).map((child, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of a condition have no other name
          <li key={at}>
            <Branch node={child} matched={node.kind === 'not' ? [] : matched} />
          </li>
        ))}
        {more > 0 && (
          <li>
            <Trans>and {more} more, see the rule's text</Trans>
          </li>
        )}
      </ul>
    </div>
  );
}

function GroupWords({ group }: { group: Group }) {
  const name = group.name && <code>{plain(group.name)}</code>;
  if (group.kind === 'not') return <Trans>not</Trans>;
  if (group.children.length === 1) return name || <Trans>all of these</Trans>;
  return (
    <>
      {name} {group.kind === 'all' ? <Trans>all of these</Trans> : <Trans>one of these</Trans>}
    </>
  );
}

const VALUES_SHOWN = 6;
const HELD_SHOWN = 3;

function TestLine({ test, matched }: { test: Test; matched: NamedValue[] }) {
  const { t } = useLingui();
  const values = heldBy(test, matched);
  const pattern = useMemo(() => patternOf(test.values), [test.values]);
  const held = values.length > 0;
  const more = test.values.length - VALUES_SHOWN;
  return (
    <div className={classes.test} data-held={held || undefined}>
      <span className={classes.field}>
        {test.field ? plain(test.field) : <Trans>anywhere in the text</Trans>}
      </span>{' '}
      <span className={classes.soft}>{test.modifiers.length > 0 ? test.modifiers.join(' ') : '='}</span>{' '}
      {test.values.slice(0, VALUES_SHOWN).map((value) => (
        <code key={value} className={classes.value}>
          {plain(value)}
        </code>
      ))}
      {more > 0 && <Trans>and {more} more</Trans>} <Held held={held} />
      {held && (
        <ul className={classes.by} aria-label={t`Made true by`}>
          {values.slice(0, HELD_SHOWN).map((value) => (
            <li key={value}>
              <LogText text={value} pattern={pattern} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Held({ held }: { held: boolean }) {
  if (!held) return null;
  return (
    <span className={classes.held}>
      <span aria-hidden="true">✓</span>
      <span className="cw-only-heard">
        <Trans>true</Trans>
      </span>
    </span>
  );
}

function CorrelationFacts({ correlation }: { correlation: Correlation }) {
  const { t } = useLingui();
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
