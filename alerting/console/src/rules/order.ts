/** Orders and finds rules. */
import type { RuleFigures } from '../api/types';
import type { RuleOrder } from '../app/router';
import { holdsWords } from '../text/folded';

const KEYS: Record<RuleOrder, (rule: RuleFigures) => number> = {
  incidents: (rule) => rule.incidents,
  false: (rule) => rule.false_positive_share ?? -1,
  hidden: (rule) => rule.hidden,
  cost: (rule) => rule.cost?.share ?? -1,
  last: (rule) => (rule.last_event_at ? Date.parse(rule.last_event_at) : 0),
};

/** The highest first; of equal ones that with more alerts. */
export function ordered(rules: RuleFigures[], order: RuleOrder): RuleFigures[] {
  const key = KEYS[order];
  return [...rules].sort((one, other) => key(other) - key(one) || other.alerts - one.alerts);
}

/** Those whose titles, tags or id hold all of the words. */
export function found(rules: RuleFigures[], words: string): RuleFigures[] {
  return rules.filter((rule) =>
    holdsWords([rule.title, rule.title_vi, rule.id, ...rule.tags].join(' '), words),
  );
}
