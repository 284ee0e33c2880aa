import { Trans } from '@lingui/react/macro';
import { UnstyledButton } from '@mantine/core';
import { memo, type ReactNode, useMemo, useState } from 'react';
import { piecesOf } from './hostile';
import classes from './LogText.module.css';
import { cutOf, spansOf } from './marks';

/** Longer text is shown in part until the reader asks for more. */
const SHOWN_CHARS = 8_000;
const MORE_CHARS = 100_000;

interface LogTextProps {
  text: string;
  /** What to mark, as `patternOf` made it. */
  pattern?: RegExp | null;
  /** So much is shown until the reader asks for more. */
  chars?: number;
}

/** Text of a log: text and nothing else, whatever is in it; with what matched marked. */
export const LogText = memo(function LogText({ text, pattern = null, chars = SHOWN_CHARS }: LogTextProps) {
  const [limit, setLimit] = useState(chars);
  const { end, excerpt } = useMemo(() => cutOf(text, pattern, limit), [text, pattern, limit]);
  const content = useMemo(() => render(text.slice(0, end), pattern), [text, end, pattern]);
  const alone = useMemo(
    () => excerpt && render(text.slice(excerpt.start, excerpt.end), pattern),
    [text, excerpt, pattern],
  );
  const more = (missing: number) =>
    missing > 0 && (
      <UnstyledButton className={classes.more} onClick={() => setLimit(limit + MORE_CHARS)}>
        <Trans>… {missing} more characters</Trans>
      </UnstyledButton>
    );
  return (
    <span className={classes.text} dir="ltr">
      {content}
      {more((excerpt?.start ?? text.length) - end)}
      {excerpt && (
        <>
          {' … '}
          {alone}
          {more(text.length - excerpt.end)}
        </>
      )}
    </span>
  );
});

function render(text: string, pattern: RegExp | null): ReactNode[] {
  const nodes: ReactNode[] = [];
  let end = 0;
  for (const span of spansOf(text, pattern)) {
    nodes.push(...withControls(text.slice(end, span.start), end));
    nodes.push(
      <mark key={`m${span.start}`} className={classes.mark}>
        {withControls(text.slice(span.start, span.end), span.start)}
      </mark>,
    );
    end = span.end;
  }
  nodes.push(...withControls(text.slice(end), end));
  return nodes;
}

function withControls(text: string, offset: number): ReactNode[] {
  let at = offset;
  return piecesOf(text).map((piece) => {
    const key = at;
    at += piece.text.length;
    if (piece.kind === 'text') return piece.text;
    return (
      <span key={key} className={classes.control} title={piece.name}>
        {piece.shown}
      </span>
    );
  });
}
