import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import Markdown, { safeTarget } from './Markdown';

const shown = (text: string) => renderToStaticMarkup(createElement(Markdown, { text }));

test('what people write becomes elements', () => {
  const html = shown('**Bold** and `code`\n\n- one\n- two\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |');
  for (const part of ['<b>Bold</b>', '<code>code</code>', '<li>one</li>', '<blockquote>', '<td>2</td>']) {
    expect(html).toContain(part);
  }
  expect(shown('see [here](https://example.vn/a?b=1)')).toContain('href="https://example.vn/a?b=1"');
  expect(shown('a\nb')).toContain('<br/>');
  expect(shown('1 < 2 & "x"')).toContain('1 &lt; 2 &amp; &quot;x&quot;');
});

test('markup is text', () => {
  for (const attack of [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'a <svg onload=alert(1)> b',
    '<iframe src="javascript:alert(1)"></iframe>',
    '**<b onmouseover=alert(1)>x</b>**',
    '```\n<script>alert(1)</script>\n```',
    '![x" onerror="alert(1)](https://example.vn/x.png)',
    '[x](javascript:alert(1))',
    '[x](data:text/html,<script>alert(1)</script>)',
    '<a href="javascript:alert(1)">x</a>',
    '[x]: javascript:alert(1)\n[x]',
  ]) {
    const html = shown(attack);
    const tags = [...html.matchAll(/<([a-z]+)([^>]*)>/g)];
    for (const [, tag = '', rest = ''] of tags) {
      expect(['div', 'p', 'b', 'a', 'pre', 'code', 'br'], `${attack}: ${html}`).toContain(tag);
      expect(rest.replace(/"[^"]*"/g, ''), html).not.toMatch(/ on[a-z]+=| src=/);
    }
    expect(html).not.toMatch(/href="(?!https:)/);
  }
});

test('characters that turn a line around are shown for what they are', () => {
  expect(shown('invoice\u202efdp.exe')).toContain('[U+202E]');
});

test('a link leads to a page, a mailbox, or nowhere', () => {
  expect(safeTarget('https://example.vn')).toBe('https://example.vn/');
  expect(safeTarget('mailto:soc@example.vn')).toBe('mailto:soc@example.vn');
  for (const bad of [
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'JaVaScRiPt:x',
    'data:,x',
    'file:///etc',
    '/a',
  ])
    expect(safeTarget(bad)).toBe(null);
});
