import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  COLUMNS,
  placeIn,
  queryName,
  spotAt,
  tokensOf,
  wantedTexts,
  withCondition,
  withPhrase,
  writtenValue,
} from './language';

test('the columns are those of the server', () => {
  const source = readFileSync(new URL('../../../../engine/src/store/language.rs', import.meta.url), 'utf8');
  const table = /COLUMNS: &\[\(&str, Column\)\] = &\[([^;]*)\];/.exec(source)?.[1] ?? '';
  const names = [...table.matchAll(/\(\s*"([a-z_]+)",\s*Column::/g)].map((match) => match[1]);
  expect(names).toEqual([...COLUMNS]);
});

test('a line is cut into its parts', () => {
  const line = 'user:root and not (process:*\\sshd or -x "failed password") 12:30 C:\\x https://a';
  expect(tokensOf(line).map(({ kind, text }) => `${kind} ${text}`)).toEqual([
    'name user',
    'word root',
    'and and',
    'not not',
    'open (',
    'name process',
    'word *\\sshd',
    'or or',
    'not -',
    'word x',
    'word failed password',
    'close )',
    'word 12:30',
    'word C:\\x',
    'word https://a',
  ]);
  expect(tokensOf('a "open quote').at(-1)).toEqual({ kind: 'word', text: 'open quote', start: 2, end: 13 });
  expect(tokensOf('user:and').map(({ kind }) => kind)).toEqual(['name', 'word']);
});

test('a value is written so that it means itself', () => {
  expect(writtenValue('root')).toBe('root');
  expect(writtenValue('2001:db8::7')).toBe('2001:db8::7');
  expect(writtenValue('a "b" c')).toBe('"a \\"b\\" c"');
  expect(writtenValue('*')).toBe('"*"');
  expect(writtenValue('C:\\Program Files\\')).toBe('C:\\\\Program*Files\\\\');
  expect(writtenValue('one\ntwo')).toBe('one*two');
  expect(writtenValue(`rm ${'x'.repeat(300)}`)).toBe(`rm*${'x'.repeat(300)}*`);
});

test('a field of a record with the name of a column is told apart', () => {
  expect(queryName('user', 'list')).toBe('user');
  expect(queryName('user', 'record')).toBe('fields.user');
  expect(queryName('User', 'list')).toBe('fields.User');
  expect(queryName('TargetUserName', 'record')).toBe('TargetUserName');
  expect(queryName('a b', 'record')).toBeNull();
  expect(queryName('x', 'record')).toBeNull();
});

test('conditions are added, turned around and never doubled', () => {
  expect(withCondition('', 'user', 'root', 'include')).toBe('user:root');
  expect(withCondition('ssh', 'user', 'root', 'exclude')).toBe('ssh and not user:root');
  expect(withCondition('a or b', 'user', 'root', 'include')).toBe('(a or b) and user:root');
  expect(withCondition('x and user:root', 'user', 'root', 'include')).toBe('x and user:root');
  expect(withCondition('x and user:root', 'user', 'root', 'exclude')).toBe('x and not user:root');
  expect(withCondition('x and -user:root y', 'user', 'root', 'include')).toBe('x and user:root y');
  expect(withCondition('(user:root or a)', 'user', 'root', 'exclude')).toBe(
    '(user:root or a) and not user:root',
  );
  expect(withPhrase('a', 'failed "x"', 'include')).toBe('a and "failed \\"x\\""');
  expect(withPhrase('"b c"', 'b c', 'exclude')).toBe('not "b c"');
});

test('what was looked for is what is marked', () => {
  expect(wantedTexts('user:root and not host:web "failed password" src_ip:10.0.0.0/8 port:>5 x*')).toEqual([
    'root',
    'failed password',
    'x',
  ]);
});

test('what is being typed where the caret stands', () => {
  expect(spotAt('us', 2)).toEqual({ kind: 'word', typed: 'us', start: 0, end: 2, operators: false });
  expect(spotAt('user:ro', 7)).toEqual({ kind: 'value', name: 'user', typed: 'ro', start: 5, end: 7 });
  expect(spotAt('user:', 5)).toEqual({ kind: 'value', name: 'user', typed: '', start: 5, end: 5 });
  expect(spotAt('user:"a b', 9)).toEqual({ kind: 'value', name: 'user', typed: 'a b', start: 5, end: 9 });
  expect(spotAt('a o', 3)).toEqual({ kind: 'word', typed: 'o', start: 2, end: 3, operators: true });
  expect(spotAt('a ', 2)).toEqual({ kind: 'word', typed: '', start: 2, end: 2, operators: true });
  expect(spotAt('id:(1 or 2', 10)).toMatchObject({ kind: 'value', name: 'id', typed: '2' });
  expect(spotAt('(a) ho', 6)).toMatchObject({ kind: 'word', typed: 'ho', operators: true });
  expect(spotAt('"failed pa', 10)).toBeNull();
  expect(spotAt('user:root x', 3)).toMatchObject({ kind: 'word', typed: 'use', start: 0, end: 5 });
  expect(spotAt('id:(', 4)).toMatchObject({ kind: 'value', name: 'id', typed: '' });
});

test('a fault is found behind letters of two halves', () => {
  expect(placeIn('😀 đ user:', 4, 5)).toEqual({ start: 5, end: 10 });
});
