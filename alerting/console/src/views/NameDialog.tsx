import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { viewsQuery } from '../api/queries';
import type { SavedView } from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import classes from './ViewMenu.module.css';
import { changeView, saveView, type ViewScreen } from './views';

/** The server takes 100 bytes, and letters of Vietnamese have up to three. */
const NAME_BYTES_MAX = 100;

interface NameDialogProps {
  screen: ViewScreen;
  query: string;
  saved: SavedView[];
  /** The view that gets another name; without it a new one is made. */
  renamed: SavedView | undefined;
  onClose: () => void;
}

/** Asks for the name of a view and keeps it. */
export default function NameDialog({ screen, query, saved, renamed, onClose }: NameDialogProps) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [name, setName] = useState(renamed?.name ?? '');
  const wanted = name.trim();
  const taken = saved.find((view) => view.name === wanted && view.id !== renamed?.id);
  const keep = useMutation({
    mutationFn: () => {
      if (renamed) return changeView(renamed, { name: wanted });
      return taken ? changeView(taken, { query }) : saveView({ name: wanted, screen, query });
    },
    onSuccess: onClose,
    onSettled: () => void queries.invalidateQueries({ queryKey: viewsQuery.queryKey }),
  });
  const tooLong = new TextEncoder().encode(wanted).length > NAME_BYTES_MAX;
  const refused = wanted === '' || tooLong || (renamed !== undefined && taken !== undefined);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!refused && !keep.isPending) keep.mutate();
  };
  return (
    <Dialog title={renamed ? t`Rename this view` : t`Keep this view`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit}>
        <TextInput
          data-autofocus
          label={t`Name`}
          error={
            tooLong
              ? t`This name is too long`
              : taken && renamed
                ? t`Another view has this name`
                : taken && t`A view of this name is there: it will be replaced`
          }
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button type="submit" disabled={refused} loading={keep.isPending}>
          {taken && !renamed ? <Trans>Replace</Trans> : <Trans>Save</Trans>}
        </Button>
      </form>
      {keep.error && <Failed error={keep.error} />}
    </Dialog>
  );
}
