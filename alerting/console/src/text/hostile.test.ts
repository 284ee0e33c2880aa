import { describe, expect, test } from 'vitest';
import { piecesOf, plain } from './hostile';

describe('hostile text', () => {
  const cases: [string, string, string][] = [
    [
      'plain Vietnamese stays',
      'Đăng nhập thất bại: người dùng Nguyễn',
      'Đăng nhập thất bại: người dùng Nguyễn',
    ],
    ['decomposed Vietnamese stays', 'Nguyễn'.normalize('NFD'), 'Nguyễn'.normalize('NFD')],
    ['tabs and lines stay', 'a\tb\nc\r\nd', 'a\tb\nc\r\nd'],
    ['emoji stays', 'ok 👍 漢字 עברית', 'ok 👍 漢字 עברית'],
    ['colour sequences', '\u001b[31mred\u001b[0m', '[ESC][31mred[ESC][0m'],
    ['title sequence', '\u001b]0;owned\u0007x', '[ESC]]0;owned[BEL]x'],
    ['unfinished sequence', 'x\u001b', 'x[ESC]'],
    ['8-bit CSI', '\u009b31mx', '[U+009B]31mx'],
    ['carriage return that overwrites', 'evil\rgood', 'evil[CR]good'],
    ['backspace, null, delete', 'a\b\0\u007f', 'a[BS][NUL][DEL]'],
    ['right-to-left override', 'invoice\u202efdp.exe', 'invoice[U+202E]fdp.exe'],
    ['isolates', '\u2066a\u2069', '[U+2066]a[U+2069]'],
    ['zero width', 'pass\u200bword\ufeff', 'pass[U+200B]word[U+FEFF]'],
    ['line separators', 'a\u2028b', 'a[U+2028]b'],
    ['tag characters', 'a\u{e0041}', 'a[U+E0041]'],
    ['lone surrogate', 'a\ud800b', 'a[U+D800]b'],
    ['a pile of marks', `z${'\u0335'.repeat(30)}`, 'z[+30 marks]'],
  ];
  test.each(cases)('%s', (_, input, shown) => {
    expect(plain(input)).toBe(shown);
    expect(
      piecesOf(input)
        .map((piece) => piece.text)
        .join(''),
    ).toBe(input);
  });

  test('a megabyte of control characters takes no time to speak of', () => {
    // Of the processor's time, so that a busy machine changes nothing.
    const start = process.cpuUsage();
    expect(piecesOf('\u001b]'.repeat(500_000)).length).toBeGreaterThan(0);
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1_000).toBeLessThan(5_000);
  }, 120_000);
});
