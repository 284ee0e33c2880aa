import { Trans, useLingui } from '@lingui/react/macro';
import { UnstyledButton } from '@mantine/core';
import { memo, useMemo } from 'react';
import type { NamedValue } from '../api/types';
import classes from './FieldTable.module.css';
import { plain } from './hostile';
import { LogText } from './LogText';
import { patternOf } from './marks';
import { matchedTexts, valueText } from './values';

interface FieldTableProps {
  label: string;
  fields: NamedValue[];
  /** Fields that made a rule match: their rows come first and their values are marked. */
  matched?: NamedValue[];
  /** What to mark in all values. */
  pattern?: RegExp | null;
  /** Makes each value a button that searches for it. */
  onSearch?: (value: string) => void;
}

const NONE: NamedValue[] = [];

/** Fields with their values. */
export const FieldTable = memo(function FieldTable(props: FieldTableProps) {
  const { label, fields, matched = NONE, pattern = null, onSearch } = props;
  const { t } = useLingui();
  const matchedNames = useMemo(() => new Set(matched.map((field) => field.name)), [matched]);
  const matchedPattern = useMemo(() => patternOf(matchedTexts(matched)), [matched]);
  const ordered = useMemo(
    () => [
      ...fields.filter((field) => matchedNames.has(field.name)),
      ...fields.filter((field) => !matchedNames.has(field.name)),
    ],
    [fields, matchedNames],
  );
  if (ordered.length === 0) return null;
  return (
    <table className={classes.table} aria-label={label}>
      <thead className="cw-only-heard">
        <tr>
          <th scope="col">{t`Field`}</th>
          <th scope="col">{t`Value`}</th>
        </tr>
      </thead>
      <tbody>
        {ordered.map((field, at) => {
          const isMatched = matchedNames.has(field.name);
          const text = valueText(field.value);
          const value = <LogText text={text} pattern={isMatched ? matchedPattern : pattern} />;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a keyword's name is empty and may occur twice
            <tr key={`${field.name} ${at}`} data-matched={isMatched || undefined}>
              <th scope="row">
                <div className={classes.name}>
                  {field.name === '' ? <Trans>anywhere in the text</Trans> : plain(field.name)}
                </div>
              </th>
              <td>
                {onSearch && text !== '' ? (
                  <UnstyledButton
                    className={classes.value}
                    title={t`Search for it`}
                    onClick={() => onSearch(text)}
                  >
                    {value}
                  </UnstyledButton>
                ) : (
                  value
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
});
