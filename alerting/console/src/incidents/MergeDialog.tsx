import { Trans, useLingui } from '@lingui/react/macro';
import { Button, Radio } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { call } from '../api/client';
import type { Incident } from '../api/types';
import { Dialog } from '../app/Dialog';
import { useLive } from '../app/liveContext';
import { Failed } from '../app/parts';
import { useTitle } from '../app/titles';
import classes from './MergeDialog.module.css';

interface MergeDialogProps {
  /** Two or more. */
  incidents: Incident[];
  onClose: () => void;
  onMerged: (into: Incident) => void;
}

/** Makes one incident of several: one takes in the alerts, events and names of the others. */
export function MergeDialog({ incidents, onClose, onMerged }: MergeDialogProps) {
  const { t } = useLingui();
  const titleOf = useTitle();
  const queries = useQueryClient();
  const live = useLive();
  const [first] = [...incidents].sort((one, other) => one.number - other.number);
  const [intoId, setIntoId] = useState(first?.id ?? '');
  const merge = useMutation({
    mutationFn: () => {
      const into = incidents.find(({ id }) => id === intoId);
      if (!into) throw new Error('one of the incidents is chosen');
      return call<Incident>(`/incidents/${encodeURIComponent(into.id)}/merge`, {
        method: 'POST',
        body: { from: incidents.map(({ id }) => id).filter((id) => id !== into.id) },
        ifMatch: into.version,
      });
    },
    onSuccess: (into) => {
      live.observe(into);
      for (const { id } of incidents) void queries.invalidateQueries({ queryKey: ['incident', id] });
      void queries.invalidateQueries({ queryKey: ['incidents'] });
      notifications.show({ color: 'green', title: t`Merged`, message: t`Into incident #${into.number}` });
      onMerged(into);
    },
    onError: () => void queries.invalidateQueries({ queryKey: ['incident', intoId] }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!merge.isPending) merge.mutate();
  };
  return (
    <Dialog title={t`Merge incidents`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit}>
        <p className={classes.about}>
          <Trans>
            One of them takes in the alerts, events and names of the others. This cannot be taken back.
          </Trans>
        </p>
        <Radio.Group label={t`Which one stays?`} value={intoId} onChange={setIntoId}>
          <div className={classes.choices}>
            {incidents.map((incident, at) => (
              <Radio
                key={incident.id}
                value={incident.id}
                label={`#${incident.number} ${titleOf(incident)}`}
                {...(at === 0 && { 'data-autofocus': true })}
              />
            ))}
          </div>
        </Radio.Group>
        {merge.error && <Failed error={merge.error} />}
        <div className={classes.end}>
          <Button variant="default" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" loading={merge.isPending}>
            <Trans>Merge</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
