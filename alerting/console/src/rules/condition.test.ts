import { expect, test } from 'vitest';
import { type Explained, explain, heldBy, holds, type Node, type Test } from './condition';

function treeOf(explained: Explained): Node {
  if (!explained || !('tree' in explained)) throw new Error('it has a tree');
  return explained.tree;
}

const RULE = `
title: A shell of a web server
detection:
  selection_parent:
    ParentImage|endswith:
      - '/nginx'
      - '/apache2'
  selection_shell:
    - Image|endswith: '/sh'
    - CommandLine|contains|all: ['-c', 'id']
  filter_own:
    User: 'deploy*'
  condition: all of selection_* and not filter_own
`;

/** The shape of a tree in a line. */
function shape(node: Node): string {
  if (node.kind === 'test') return [node.field, ...node.modifiers].join('|');
  if (node.kind === 'unread') return `?${node.text}`;
  return `${node.kind}(${node.children.map(shape).join(' ')})`;
}

test('a condition becomes a tree', () => {
  expect(shape(treeOf(explain(RULE)))).toBe(
    'all(all(all(ParentImage|endswith) any(all(Image|endswith) all(CommandLine|contains|all))) not(all(User)))',
  );
});

test('what matched marks the parts that it makes true', () => {
  const tree = treeOf(explain(RULE));
  const matched = [
    { name: 'ParentImage', value: '/usr/sbin/NGINX' },
    { name: 'CommandLine', value: 'sh -c "id; uname"' },
  ];
  expect(holds(tree, matched)).toBe(true);
  expect(holds(tree, matched.slice(0, 1))).toBe(false);
  expect(holds(tree, [...matched, { name: 'User', value: 'deployer' }])).toBe(false);
});

test('and before or, not before and, brackets first', () => {
  const of = (condition: string) =>
    shape(treeOf(explain(`detection:\n  a: {x: 1}\n  b: {y: 1}\n  c: {z: 1}\n  condition: ${condition}`)));
  expect(of('a or b and not c')).toBe('any(all(x) all(all(y) not(all(z))))');
  expect(of('(a or b) and c')).toBe('all(any(all(x) all(y)) all(z))');
  expect(of('1 of them')).toBe('any(all(x) all(y) all(z))');
  expect(of('a and (b')).toBe('?a and (b');
  expect(of('a near b')).toBe('?a near b');
});

test('values are compared as the modifiers say', () => {
  const of = (modifiers: string[], values: string[], value: string) =>
    heldBy({ kind: 'test', field: 'f', modifiers, values } as Test, [{ name: 'f', value }]).length > 0;
  expect(of([], ['a*c'], 'ABC')).toBe(true);
  expect(of([], ['a\\*c'], 'abc')).toBe(false);
  expect(of([], ['C:\\Windows\\\\*'], 'c:\\windows\\x.exe')).toBe(true);
  expect(of(['cased'], ['abc'], 'ABC')).toBe(false);
  expect(of(['startswith'], ['ab'], 'abc')).toBe(true);
  expect(of(['contains', 'all'], ['a', 'z'], 'abc')).toBe(false);
  // One of several values, which the server joins.
  expect(of([], ['CONFIG_CHANGE'], 'CONFIG_CHANGE,SYSCALL')).toBe(true);
  // A sense that is not known here: that the field matched is what the server says.
  expect(of(['re'], ['^x+$'], 'anything')).toBe(true);
});

test('keywords may stand anywhere', () => {
  const tree = treeOf(explain('detection:\n  keywords: [dropped, "failed login"]\n  condition: keywords'));
  expect(holds(tree, [{ name: '', value: 'a failed login again' }])).toBe(true);
  expect(holds(tree, [{ name: 'x', value: 'failed login' }])).toBe(false);
});

test('a correlation is read, and what is no rule is nothing', () => {
  const rule =
    'correlation:\n  type: event_count\n  rules: [a, b]\n  group-by: [user]\n  timespan: 5m\n  condition: {gte: 10}';
  expect(explain(rule)).toEqual({
    correlation: {
      type: 'event_count',
      rules: ['a', 'b'],
      groupBy: ['user'],
      timespan: '5m',
      condition: 'gte 10',
    },
  });
  for (const broken of ['', 'a: [', '- 1', 'detection: 7', 'title: x']) expect(explain(broken)).toBe(null);
});
