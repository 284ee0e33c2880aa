import { type MarkedToken, marked, type Token } from 'marked';
import { Fragment, type ReactNode, useMemo } from 'react';
import { plain } from './hostile';
import classes from './Markdown.module.css';

/** Deeper lists and quotes are shown as they were written. */
const DEPTH_MAX = 8;

/**
 * What people write, in Markdown. Made of elements, never of markup: HTML in it is text, pictures are
 * links, and a link leads to http, https or mailto or nowhere.
 */
export default function Markdown({ text }: { text: string }) {
  const content = useMemo(() => blocks(marked.lexer(text, { gfm: true, breaks: true }), 0), [text]);
  return <div className={classes.markdown}>{content}</div>;
}

function blocks(tokens: Token[], depth: number): ReactNode {
  // Text that is read anew with each change: its parts have no other name than their place.
  return tokens.map((token, at) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: as above
    <Fragment key={`${at} ${token.type}`}>{node(token as MarkedToken, depth)}</Fragment>
  ));
}

function node(token: MarkedToken, depth: number): ReactNode {
  if (depth > DEPTH_MAX) return plain(token.raw);
  const inside = (tokens: Token[] | undefined, raw: string) =>
    tokens ? blocks(tokens, depth + 1) : plain(raw);
  switch (token.type) {
    case 'space':
      return null;
    case 'paragraph':
      return <p>{inside(token.tokens, token.text)}</p>;
    // Headings of a comment must not stand among those of the page.
    case 'heading':
      return (
        <p>
          <b>{inside(token.tokens, token.text)}</b>
        </p>
      );
    case 'strong':
      return <b>{inside(token.tokens, token.text)}</b>;
    case 'em':
      return <em>{inside(token.tokens, token.text)}</em>;
    case 'del':
      return <del>{inside(token.tokens, token.text)}</del>;
    case 'codespan':
      return <code>{plain(token.text)}</code>;
    case 'code':
      return <pre>{token.text.split('\n').map(plain).join('\n')}</pre>;
    case 'blockquote':
      return <blockquote>{inside(token.tokens, token.text)}</blockquote>;
    case 'list': {
      const items = token.items.map((item, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items have no other name
        <li key={at}>{inside(item.tokens, item.text)}</li>
      ));
      return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
    }
    case 'br':
      return <br />;
    case 'hr':
      return <hr />;
    case 'link':
      return <Anchor href={token.href}>{inside(token.tokens, token.text)}</Anchor>;
    case 'image':
      return <Anchor href={token.href}>{plain(token.text || token.href)}</Anchor>;
    case 'table':
      return (
        <table>
          <thead>
            <tr>
              {token.header.map((cell, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: cells have no other name
                <th key={at}>{inside(cell.tokens, cell.text)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {token.rows.map((row, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name
              <tr key={at}>
                {row.map((cell, column) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: cells have no other name
                  <td key={column}>{inside(cell.tokens, cell.text)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      );
    case 'text':
      return 'tokens' in token && token.tokens ? inside(token.tokens, token.text) : plain(token.text);
    case 'escape':
      return plain(token.text);
    default:
      return plain(token.raw);
  }
}

function Anchor({ href, children }: { href: string; children: ReactNode }) {
  const target = safeTarget(href);
  if (!target) return <>{children}</>;
  return (
    <a href={target} target="_blank" rel="noopener noreferrer nofollow" title={plain(target)}>
      {children}
    </a>
  );
}

/** The address if it leads to a page or a mailbox, else nothing: no scripts, no data, no file. */
export function safeTarget(href: string): string | null {
  try {
    const { protocol, href: whole } = new URL(href);
    return ['http:', 'https:', 'mailto:'].includes(protocol) ? whole : null;
  } catch {
    return null;
  }
}
