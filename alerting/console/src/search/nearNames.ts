/** A name in the search line that no event has, and what was meant perhaps. */
import { folded } from '../text/folded';
import { COLUMNS, tokensOf } from './language';

/** So many names of a line are asked for. */
const NAMES_MAX = 4;
const NEAR_MAX = 3;

/** The names that the line asks for, each once. */
export function namesIn(line: string): string[] {
  const names = tokensOf(line).flatMap(({ kind, text }) => (kind === 'name' ? [text] : []));
  return [...new Set(names)].slice(0, NAMES_MAX);
}

/** Known names that differ from it little, the nearest first. */
export function nearNames(name: string, known: string[]): string[] {
  const typed = folded(name);
  const allowed = Math.max(1, Math.floor(typed.length / 3));
  return [...new Set([...known, ...COLUMNS])]
    .filter((each) => each !== name)
    .map((each) => ({ each, far: distance(typed, folded(each)) }))
    .filter(({ each, far }) => far <= allowed || (typed.length > 2 && folded(each).includes(typed)))
    .toSorted((one, other) => one.far - other.far || one.each.length - other.each.length)
    .slice(0, NEAR_MAX)
    .map(({ each }) => each);
}

/** The line that asks for another name in its place. */
export function withName(line: string, name: string, instead: string): string {
  return tokensOf(line)
    .filter(({ kind, text }) => kind === 'name' && text === name)
    .reduceRight((text, { start }) => text.slice(0, start) + instead + text.slice(start + name.length), line);
}

/** Letters to be put in, left out or changed, or exchanged with the next. */
function distance(one: string, other: string): number {
  let [before, last]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= one.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1] ? 0 : 1;
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + same,
      );
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (row > 1 && column > 1 && swapped) least = Math.min(least, (before[column - 2] ?? 0) + 1);
      next.push(least);
    }
    [before, last] = [last, next];
  }
  return last[other.length] ?? 0;
}
