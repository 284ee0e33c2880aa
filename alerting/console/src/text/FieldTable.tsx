import { Trans, useLingui } from '@lingui/react/macro';
import { ActionIcon, UnstyledButton } from '@mantine/core';
import { memo, useMemo } from 'react';
import type { NamedValue } from '../api/types';
import { Icon } from '../app/icons';
import { queryName, type Sense } from '../search/language';
import classes from './FieldTable.module.css';
import { brief, LINK_CHARS_MAX } from './hostile';
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
  /** Adds two buttons to each single value that ask for events with it, or without it. */
  onCondition?: (name: string, value: string, sense: Sense) => void;
}

const NONE: NamedValue[] = [];

/** A value among others shows no more at first: the rows below it stay in sight. */
const VALUE_CHARS = 1_000;
/** Enough of a value to know it by. */
const WORDS_CHARS_MAX = 80;

/** Fields with their values. */
export const FieldTable = memo(function FieldTable(props: FieldTableProps) {
  const { label, fields, matched = NONE, pattern = null, onSearch, onCondition } = props;
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
          {onCondition && <th scope="col">{t`Narrow by it`}</th>}
        </tr>
      </thead>
      <tbody>
        {ordered.map((field, at) => {
          const isMatched = matchedNames.has(field.name);
          const text = valueText(field.value);
          const value = (
            <LogText text={text} pattern={isMatched ? matchedPattern : pattern} chars={VALUE_CHARS} />
          );
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a keyword's name is empty and may occur twice
            <tr key={`${field.name} ${at}`} data-matched={isMatched || undefined}>
              <th scope="row">
                <div className={classes.name}>
                  {field.name === '' ? <Trans>anywhere in the text</Trans> : brief(field.name)}
                </div>
              </th>
              <td>
                {onSearch && text !== '' && text.length <= VALUE_CHARS ? (
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
              {onCondition && (
                <td className={classes.acts}>
                  <ConditionButtons field={field} onCondition={onCondition} />
                </td>
              )}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
});

interface ConditionButtonsProps {
  field: NamedValue;
  onCondition: NonNullable<FieldTableProps['onCondition']>;
}

/** What the query language can ask for: a single value under a name that it takes. */
function ConditionButtons({ field, onCondition }: ConditionButtonsProps) {
  const { t } = useLingui();
  const name = queryName(field.name, 'record');
  const isSingle = ['string', 'number', 'boolean'].includes(typeof field.value);
  const text = valueText(field.value);
  if (name === null || !isSingle || text === '' || text.length > LINK_CHARS_MAX) return null;
  const words = `${brief(field.name)}: ${brief(text.slice(0, WORDS_CHARS_MAX))}`;
  const acts = [
    { sense: 'include', icon: 'plus', label: t`Only events with ${words}` },
    { sense: 'exclude', icon: 'minus', label: t`No events with ${words}` },
  ] as const;
  return acts.map(({ sense, icon, label }) => (
    <ActionIcon
      key={sense}
      size={24}
      variant="subtle"
      color="gray"
      aria-label={label}
      title={label}
      onClick={() => onCondition(name, text, sense)}
    >
      <Icon name={icon} size={14} />
    </ActionIcon>
  ));
}
