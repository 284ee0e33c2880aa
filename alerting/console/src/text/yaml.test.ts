import { describe, expect, test } from 'vitest';
import { yamlLines } from './yaml';

describe('rule text', () => {
  const rule = [
    'title: SSH # not a comment of ours',
    'tags:',
    '  - attack.t1110',
    'detection:',
    '  selection:',
    "    Image|endswith: '\\x.exe'",
    '    EventID: 4688',
    '# end',
    "  - 'quoted: value'",
  ].join('\n');
  test('never changes a character', () => {
    expect(
      yamlLines(rule)
        .map((line) => line.pieces.map((piece) => piece.text).join(''))
        .join('\n'),
    ).toBe(rule);
  });
  test('a block of text has no keys', () => {
    const lines = yamlLines(
      ['description: |', '    Seen by sudo: a way up', '', '  - no item', 'level: high'].join('\n'),
    );
    const tokens = lines.map((line) => line.pieces.map((piece) => piece.token));
    expect(tokens).toEqual([
      ['key', 'punctuation', 'punctuation'],
      ['plain'],
      [],
      ['plain'],
      ['key', 'punctuation', 'plain'],
    ]);
    expect(lines[1]?.field).toBe('');
  });
  test('knows keys, values and the tested field', () => {
    const lines = yamlLines(rule);
    expect(lines[0]?.pieces.map((piece) => piece.token)).toEqual(['key', 'punctuation', 'plain', 'comment']);
    expect(lines[5]?.field).toBe('Image');
    expect(lines[6]?.pieces.at(-1)?.token).toBe('number');
    expect(lines[7]?.pieces[0]?.token).toBe('comment');
    expect(lines[8]?.pieces.at(-1)?.token).toBe('string');
  });
});
