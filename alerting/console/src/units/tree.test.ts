import { expect, test } from 'vitest';
import { found, treeOf, unitsBelow, withAbove } from './tree';

const unit = (id: string, parent = '', name = id) => ({ id, name, parent, version: 1 });
const shown = (units: { id: string; depth: number }[]) => units.map(({ id, depth }) => `${depth} ${id}`);

const CITY = [unit('city'), unit('d1', 'city'), unit('w1', 'd1', 'Phường Bến Thành'), unit('d2', 'city')];

test('from the top down, with depths and what is below', () => {
  const tree = treeOf([...CITY].reverse());
  expect(shown(tree)).toEqual(['0 city', '1 d2', '1 d1', '2 w1']);
  expect(tree[0]?.below).toBe(3);
});

test('what belongs nowhere is at the top, and rings end', () => {
  expect(shown(treeOf([unit('a', 'away')]))).toEqual(['0 a']);
  expect(shown(treeOf([unit('a', 'b'), unit('b', 'a'), unit('c', 'c')]))).toEqual(['0 c', '0 a', '1 b']);
});

test('what is found keeps what is above it', () => {
  expect(shown(found(treeOf(CITY), 'ben thanh'))).toEqual(['0 city', '1 d1', '2 w1']);
  expect(found(treeOf(CITY), 'nothing')).toEqual([]);
});

test('what fits keeps what is above it', () => {
  expect(shown(withAbove(treeOf(CITY), ({ id }) => id === 'w1'))).toEqual(['0 city', '1 d1', '2 w1']);
});

test('what is below a unit, in any order and in rings', () => {
  expect([...unitsBelow([...CITY].reverse(), 'city')].sort()).toEqual(['city', 'd1', 'd2', 'w1']);
  expect([...unitsBelow(CITY, 'd1')]).toEqual(['d1', 'w1']);
  expect([...unitsBelow([unit('a', 'b'), unit('b', 'a')], 'a')].sort()).toEqual(['a', 'b']);
});
