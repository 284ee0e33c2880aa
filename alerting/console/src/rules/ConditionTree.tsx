import { Trans, useLingui } from '@lingui/react/macro';
import { useMemo } from 'react';
import type { ConditionPart } from '../api/types';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { patternOf } from '../text/marks';
import classes from './ConditionTree.module.css';

/**
 * A rule's condition as a tree, as the server's reference evaluator judged it: which parts held, and what the event
 * had for them. Without an event the parts are only named.
 */
export function ConditionTree({ root }: { root: ConditionPart }) {
  const { t } = useLingui();
  return (
    <section className={classes.tree} aria-label={t`Condition`} data-testid="condition">
      <Part part={root} />
    </section>
  );
}

const GROUPS = ['all of', 'one of', 'not'];

function Part({ part }: { part: ConditionPart }) {
  if (part.children.length === 0 && !GROUPS.includes(part.asks)) return <TestLine part={part} />;
  return (
    <div className={classes.group} data-held={part.holds || undefined}>
      <div className={classes.head}>
        <GroupWords part={part} /> <Held holds={part.holds} />
      </div>
      <ul className={classes.children}>
        {part.children.map((child, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of a condition have no other name
          <li key={at}>
            <Part part={child} />
          </li>
        ))}
        {part.left_out > 0 && (
          <li>
            <Trans>and {part.left_out} more, see the rule's text</Trans>
          </li>
        )}
      </ul>
    </div>
  );
}

function GroupWords({ part }: { part: ConditionPart }) {
  const name = part.search && <code>{plain(part.search)}</code>;
  if (part.asks === 'not') return <Trans>not</Trans>;
  return (
    <>
      {name} {part.asks === 'one of' ? <Trans>one of these</Trans> : <Trans>all of these</Trans>}
    </>
  );
}

function TestLine({ part }: { part: ConditionPart }) {
  const { t } = useLingui();
  const { asks, search, seen, holds } = part;
  const wanted = asks.slice(asks.indexOf(': ') + 2);
  // What is asked for may stand in it with stars.
  const pattern = useMemo(() => (holds ? patternOf(wanted.split('*')) : null), [wanted, holds]);
  return (
    <div className={classes.test} data-held={holds || undefined}>
      {search && <code>{plain(search)}</code>} <span className={classes.field}>{plain(asks)}</span>{' '}
      <Held holds={holds} />
      {seen && (
        <div className={classes.by} role="group" aria-label={t`What the event has for it`}>
          <LogText text={seen} pattern={pattern} />
        </div>
      )}
    </div>
  );
}

function Held({ holds }: { holds: boolean | null | undefined }) {
  const { t } = useLingui();
  if (holds === null || holds === undefined) return null;
  return (
    <span className={holds ? classes.held : classes.soft}>
      <span aria-hidden="true">{holds ? '✓' : '✗'}</span>
      <span className="cw-only-heard">{holds ? t`true` : t`not true`}</span>
    </span>
  );
}
