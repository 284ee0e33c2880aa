import { useMemo } from 'react';
import { piecesOf } from './hostile';
import classes from './RuleSource.module.css';
import { yamlLines } from './yaml';

interface RuleSourceProps {
  text: string;
  /** Fields that matched: the lines that test them stand out. */
  matched: ReadonlySet<string>;
  label: string;
}

/** The rule as it was written. */
export function RuleSource({ text, matched, label }: RuleSourceProps) {
  const lines = useMemo(() => yamlLines(text), [text]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div className={classes.source} role="group" tabIndex={0} aria-label={label}>
      <pre className={classes.lines}>
        {lines.map((line, number) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name and never move
          <span key={number} className={classes.line} data-matched={matched.has(line.field) || undefined}>
            {line.pieces.map((piece, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: as above
              <span key={at} className={classes[piece.token]}>
                {piecesOf(piece.text).map((part) => (part.kind === 'text' ? part.text : part.shown))}
              </span>
            ))}
            {'\n'}
          </span>
        ))}
      </pre>
    </div>
  );
}
