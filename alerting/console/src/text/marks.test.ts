import { describe, expect, test } from 'vitest';
import { patternOf, spansOf } from './marks';

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
