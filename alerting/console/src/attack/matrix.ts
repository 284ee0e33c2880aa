/** Coverage and hits as columns of tactics. */
import type { AttackCoverage, AttackTechnique } from '../api/types';

export interface Column {
  tactic: string;
  rules: number;
  alerts: number;
  techniques: AttackTechnique[];
}

/** One column for each tactic that a rule names, the techniques with the most alerts first. */
export function columnsOf({ tactics, techniques }: AttackCoverage): Column[] {
  return tactics
    .filter(({ rules }) => rules > 0)
    .map(({ name, rules, alerts }) => ({
      tactic: name,
      rules,
      alerts,
      techniques: techniques
        .filter((technique) => technique.tactics.includes(name))
        .sort((one, other) => other.alerts - one.alerts || one.id.localeCompare(other.id)),
    }));
}

/** How strongly a technique stands out, 0 to 4: by the order of magnitude of its alerts. */
export function heatOf(alerts: number): number {
  return alerts <= 0 ? 0 : Math.min(4, 1 + Math.floor(Math.log10(alerts)));
}
