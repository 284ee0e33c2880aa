import { useLingui } from '@lingui/react/macro';
import { ActionIcon, TextInput, type TextInputProps } from '@mantine/core';
import { useRef } from 'react';
import { Icon } from '../app/icons';
import classes from './TimeInputs.module.css';
import { inputOfMillis, isoOfMillis, millisOfInput, ZONE_LABEL } from './time';

/** A stretch of time as its two inputs hold it. */
export interface Typed {
  from: string;
  to: string;
}

/** Whether one of its ends is written, and is no time. */
export function isUnreadable({ from, to }: Typed): boolean {
  return [from, to].some((each) => each.trim() !== '' && millisOfInput(each) === null);
}

/** Whether it ends before it begins. */
export function isBackwards({ from, to }: Typed): boolean {
  const [begin, end] = [millisOfInput(from), millisOfInput(to)];
  return begin !== null && end !== null && begin >= end;
}

interface TimeInputsProps extends Pick<TextInputProps, 'size'> {
  typed: Typed;
  onChange: (part: Partial<Typed>) => void;
}

/** From when to when, in Indochina Time. */
export function TimeInputs({ typed, onChange, size = 'sm' }: TimeInputsProps) {
  const { t } = useLingui();
  return (
    <>
      <TimeInput
        size={size}
        label={t`From (${ZONE_LABEL})`}
        value={typed.from}
        onValue={(from) => onChange({ from })}
      />
      <TimeInput
        size={size}
        label={t`To (${ZONE_LABEL})`}
        value={typed.to}
        onValue={(to) => onChange({ to })}
        error={isBackwards(typed) && t`The end must lie after the beginning`}
      />
    </>
  );
}

interface TimeInputProps extends Pick<TextInputProps, 'size' | 'label' | 'error'> {
  value: string;
  onValue: (value: string) => void;
}

/**
 * A time as it is shown everywhere else: an `<input type="datetime-local">` writes it in the browser's language. Its
 * calendar is there all the same.
 */
function TimeInput({ value, onValue, error, ...rest }: TimeInputProps) {
  const { t } = useLingui();
  const native = useRef<HTMLInputElement>(null);
  const millis = millisOfInput(value);
  const example = '22/11/2026 07:30:00';
  const unreadable = value.trim() !== '' && millis === null && t`Write it like ${example}`;
  return (
    <TextInput
      {...rest}
      value={value}
      autoComplete="off"
      placeholder={t`dd/mm/yyyy hh:mm:ss`}
      error={unreadable || error}
      onChange={(event) => onValue(event.currentTarget.value)}
      rightSection={
        <>
          <ActionIcon
            size="sm"
            variant="subtle"
            color="gray"
            aria-label={t`Choose from the calendar`}
            title={t`Choose from the calendar`}
            onClick={() => native.current?.showPicker()}
          >
            <Icon name="calendar" size={14} />
          </ActionIcon>
          <input
            ref={native}
            className={classes.native}
            type="datetime-local"
            step={1}
            tabIndex={-1}
            aria-hidden="true"
            value={millis === null ? '' : isoOfMillis(millis)}
            onChange={(event) => {
              const chosen = millisOfInput(event.currentTarget.value);
              if (chosen !== null) onValue(inputOfMillis(chosen));
            }}
          />
        </>
      }
    />
  );
}
