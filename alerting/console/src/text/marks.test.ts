import { describe, expect, test } from 'vitest';
import { cutOf, patternOf, spansOf } from './marks';

describe('marks', () => {
  function marked(text: string, values: string[]): string[] {
    return spansOf(text, patternOf(values)).map((span) => text.slice(span.start, span.end));
  }

  test('finds values whatever their case', () => {
    expect(marked('Failed password for ROOT from 10.0.0.7', ['root', '10.0.0.7'])).toEqual([
      'ROOT',
      '10.0.0.7',
    ]);
  });
  test('finds a path escaped in JSON', () => {
    expect(marked('{"Image":"C:\\\\Temp\\\\x.exe"}', ['C:\\Temp\\x.exe'])).toEqual(['C:\\\\Temp\\\\x.exe']);
  });
  test('finds markup escaped in XML', () => {
    expect(marked('<Data>a &lt;b&gt; c</Data>', ['<b>'])).toEqual(['&lt;b&gt;']);
  });
  test('the longest value wins', () => {
    expect(marked('/etc/passwd', ['/etc', '/etc/passwd'])).toEqual(['/etc/passwd']);
  });
  test('short values and numbers must stand alone', () => {
    expect(marked('EventID 1, pid 11, id=1', ['1'])).toEqual(['1', '1']);
    expect(marked('as was as', ['as'])).toEqual(['as', 'as']);
  });
  test('characters of patterns are only characters', () => {
    expect(marked('a.b a+b (x|y) [z] \\w a-b', ['(x|y)', '[z]', '\\w', 'a-b'])).toEqual([
      '(x|y)',
      '[z]',
      '\\w',
      'a-b',
    ]);
  });
  test('of a value of any length the beginning is marked', () => {
    const long = `(${'dài '.repeat(400_000)}`;
    expect(marked(`before ${long} after`, [long]).map((text) => text.length)).toEqual([2_000]);
  });
  test('nothing to find', () => {
    expect(marked('text', ['', ' '])).toEqual([]);
  });
});

test('a long text is cut behind its marks, and a mark far behind the cut is shown by itself', () => {
  const pattern = patternOf(['needle']);
  const text = (at: number) => `${'x '.repeat(at / 2)}needle ${'y '.repeat(5_000)}`;
  expect(cutOf('needle', pattern, 100)).toEqual({ end: 6 });
  expect(cutOf(text(10), pattern, 100)).toEqual({ end: 100 });
  expect(cutOf(text(96), pattern, 100)).toEqual({ end: 102 });
  expect(cutOf(text(1_000), pattern, 100)).toEqual({ end: 100, excerpt: { start: 800, end: 1_206 } });
  expect(cutOf(text(1_000), null, 100)).toEqual({ end: 100 });
});
