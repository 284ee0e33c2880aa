/** The tree of units, as a list from the top down with depths. */
import type { Unit } from '../api/types';
import { holdsWords } from '../text/folded';

export interface TreeUnit extends Unit {
  depth: number;
  /** Units below it, all the way down. */
  below: number;
}

/** From the top down. A unit whose parent is not among them, or that stands below itself, is at the top. */
export function treeOf(units: Unit[]): TreeUnit[] {
  const ids = new Set(units.map(({ id }) => id));
  const children = new Map<string, Unit[]>();
  const tops: Unit[] = [];
  for (const unit of units) {
    if (unit.parent && unit.parent !== unit.id && ids.has(unit.parent)) {
      children.set(unit.parent, [...(children.get(unit.parent) ?? []), unit]);
    } else tops.push(unit);
  }
  const listed: TreeUnit[] = [];
  const seen = new Set<string>();
  const walk = (unit: Unit, depth: number): number => {
    if (seen.has(unit.id)) return 0;
    seen.add(unit.id);
    const entry = { ...unit, depth, below: 0 };
    listed.push(entry);
    for (const child of children.get(unit.id) ?? []) entry.below += walk(child, depth + 1);
    return entry.below + 1;
  };
  for (const unit of tops) walk(unit, 0);
  // A ring has no top.
  for (const unit of units) walk(unit, 0);
  return listed;
}

/** The ids of a unit and of those below it. */
export function unitsBelow(units: Unit[], root: string): ReadonlySet<string> {
  const below = new Set([root]);
  let before = 0;
  // One level further each time: there are few.
  while (below.size > before) {
    before = below.size;
    for (const { id, parent } of units) if (below.has(parent)) below.add(id);
  }
  return below;
}

/** Those that hold the words, with all above them. */
export function found(tree: TreeUnit[], words: string): TreeUnit[] {
  if (!words.trim()) return tree;
  return withAbove(tree, (unit) => holdsWords(`${unit.name} ${unit.id}`, words));
}

/** Those that fit, with all above them. */
export function withAbove(tree: TreeUnit[], fits: (unit: TreeUnit) => boolean): TreeUnit[] {
  const kept = new Set<string>();
  const parents = new Map(tree.map(({ id, parent }) => [id, parent]));
  for (const unit of tree) {
    if (!fits(unit)) continue;
    for (let id: string | undefined = unit.id; id && !kept.has(id); id = parents.get(id)) kept.add(id);
  }
  return tree.filter(({ id }) => kept.has(id));
}
