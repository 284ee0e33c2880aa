import { useLingui } from '@lingui/react/macro';
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useId } from 'react';
import { unitsQuery } from '../api/queries';
import { plain } from '../text/hostile';

interface UnitInputProps {
  value: string;
  onChange: (unit: string) => void;
  error?: string | undefined;
  label?: string;
  description?: string;
  /** Where a dialog begins with it. */
  'data-autofocus'?: boolean;
}

/** The id of a unit, offered from the tree. */
export function UnitInput({ value, onChange, error, label, description, ...more }: UnitInputProps) {
  const { t } = useLingui();
  const { data } = useQuery(unitsQuery);
  const id = useId();
  return (
    <>
      <TextInput
        label={label ?? t`Unit`}
        description={description ?? t`With the units below it; empty for the whole city`}
        list={id}
        {...more}
        value={value}
        error={error}
        onChange={(event) => onChange(event.currentTarget.value)}
      />
      <datalist id={id}>
        {data?.items.map((unit) => (
          <option key={unit.id} value={unit.id}>
            {plain(unit.name)}
          </option>
        ))}
      </datalist>
    </>
  );
}
