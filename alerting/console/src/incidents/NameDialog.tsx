import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { Dialog } from '../app/Dialog';
import classes from './ViewMenu.module.css';

const NAME_CHARS_MAX = 60;

/** Asks for the name of a view. */
export default function NameDialog({
  onClose,
  onName,
}: {
  onClose: () => void;
  onName: (name: string) => void;
}) {
  const { t } = useLingui();
  const [name, setName] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) onName(name.trim());
  };
  return (
    <Dialog title={t`Keep this view`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit}>
        <TextInput
          data-autofocus
          label={t`Name`}
          maxLength={NAME_CHARS_MAX}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button type="submit" disabled={!name.trim()}>
          <Trans>Save</Trans>
        </Button>
      </form>
    </Dialog>
  );
}
