import { expect, test } from 'vitest';
import { csvOf } from './csv';

test('quotes and breaks stay within their cell', () => {
  expect(csvOf([['a,b', 'say "x"', 'one\ntwo', 3, null]])).toBe('\ufeff"a,b","say ""x""","one\ntwo",3,\r\n');
});

test('no text is a formula', () => {
  for (const attack of [
    '=cmd|"/C calc"!A1',
    '+1+1',
    '-2+3',
    '@SUM(A1)',
    ' =1+1',
    '\t=1+1',
    '\r=1',
    '\uff1d1+1',
    '|calc',
  ]) {
    const [shown = ''] = csvOf([[attack]])
      .slice(1)
      .split('\r\n"')
      .slice(-1);
    expect(shown.replace(/^"/, '').startsWith("'"), attack).toBe(true);
  }
});

test('what is no formula is left alone', () => {
  expect(csvOf([['máy chủ', 'a=b', '2026-11-22', -5]])).toBe('\ufeffmáy chủ,a=b,2026-11-22,-5\r\n');
});
