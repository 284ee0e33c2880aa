import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, FileInput, Textarea } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import classes from '../administration/parts.module.css';
import { reasonsOf } from '../administration/reasons';
import { call } from '../api/client';
import { unitsQuery } from '../api/queries';
import type { MergedLine } from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import { plain } from '../text/hostile';

/** The whole tree anew, as CSV: what it leaves out stays as it is, what it names is made, renamed or moved. */
export function UnitImport({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  // Outlives a reload and a new sign-in.
  const [csv, setCsv, forget] = useSessionStorage({
    key: 'citywatch.units',
    defaultValue: '',
    getInitialValueInEffect: false,
  });
  const save = useMutation({
    mutationFn: () =>
      call<{ changed: number; merged: MergedLine[] }>('/units', {
        method: 'PUT',
        text: { content: csv, type: 'text/csv' },
      }),
    onSuccess: ({ changed, merged }) => {
      forget();
      const [first] = merged;
      if (first) {
        const { line, into } = first;
        const unit = plain(first.unit);
        const others = merged.length - 1;
        notifications.show({
          color: 'yellow',
          autoClose: false,
          title: t`Some lines are from before a merge`,
          message: (
            <>
              <Trans>
                Line {line}: {unit} was merged into {plain(into)} and stays so.
              </Trans>{' '}
              {others > 0 && (
                <Plural value={others} one="So it is with # more line." other="So it is with # more lines." />
              )}
            </>
          ),
        });
      }
      notifications.show({
        color: 'green',
        title: t`Units imported`,
        message: t`${changed} made, renamed or moved`,
      });
      onClose();
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: unitsQuery.queryKey }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (csv.trim() && !save.isPending) save.mutate();
  };
  const reasons = reasonsOf(save.error, ['body']);
  return (
    <Dialog title={t`Import units`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit}>
        <p className={classes.about}>
          <Trans>
            The first line names the columns: id, name, parent. An id never changes, since events carry it; a
            unit without a parent is at the top.
          </Trans>
        </p>
        <FileInput
          label={t`File`}
          accept=".csv,text/csv"
          placeholder={t`Choose a file`}
          onChange={(file) => void file?.text().then(setCsv)}
        />
        <Textarea
          data-autofocus
          label={t`Content`}
          autosize
          minRows={6}
          maxRows={16}
          placeholder={'id,name,parent\nhcmc,Thành phố Hồ Chí Minh,'}
          value={csv}
          error={reasons.of('body')}
          onChange={(event) => setCsv(event.currentTarget.value)}
        />
        {reasons.elsewhere && <Failed error={save.error} />}
        <div className={classes.end}>
          <Button variant="default" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" disabled={!csv.trim()} loading={save.isPending}>
            <Trans>Import</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
