import { useLingui } from '@lingui/react/macro';
import { TextInput, type TextInputProps } from '@mantine/core';
import { millisOfInput, ZONE_LABEL } from './time';

/** A stretch of time as its two inputs hold it. */
export interface Typed {
  from: string;
  to: string;
}

/** Whether it ends before it begins. */
export function isBackwards({ from, to }: Typed): boolean {
  const [begin, end] = [millisOfInput(from), millisOfInput(to)];
  return begin !== null && end !== null && begin >= end;
}

interface TimeInputsProps extends Pick<TextInputProps, 'size'> {
  typed: Typed;
  onChange: (part: Partial<Typed>) => void;
  /** Whether what they hold cannot be asked for. */
  wrong: boolean;
}

/** From when to when, in Indochina Time. */
export function TimeInputs({ typed, onChange, wrong, size = 'sm' }: TimeInputsProps) {
  const { t } = useLingui();
  const shared = { type: 'datetime-local', step: 1, size };
  return (
    <>
      <TextInput
        {...shared}
        label={t`From (${ZONE_LABEL})`}
        value={typed.from}
        onChange={(event) => onChange({ from: event.currentTarget.value })}
      />
      <TextInput
        {...shared}
        label={t`To (${ZONE_LABEL})`}
        value={typed.to}
        error={wrong && t`The end must lie after the beginning`}
        onChange={(event) => onChange({ to: event.currentTarget.value })}
      />
    </>
  );
}
