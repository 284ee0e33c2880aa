import { Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import classes from '../administration/parts.module.css';
import { reasonsOf } from '../administration/reasons';
import { UnitInput } from '../administration/UnitInput';
import { call } from '../api/client';
import { tokensQuery } from '../api/queries';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import { ROLES } from '../app/roles';
import { ROLE_WORDS } from '../app/words';

const DAYS = [7, 30, 90, 365];

/** Makes a token. */
export function TokenForm({ onClose, onMade }: { onClose: () => void; onMade: (secret: string) => void }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  // Outlives a reload and a new sign-in.
  const [wish, setWish, forget] = useSessionStorage({
    key: 'citywatch.token.new',
    defaultValue: { name: '', role: 'viewer', unit: '', days: 90 },
    getInitialValueInEffect: false,
  });
  const change = (part: Partial<typeof wish>) => setWish((before) => ({ ...before, ...part }));
  const save = useMutation({
    mutationFn: () => call<{ token: string }>('/tokens', { method: 'POST', body: wish }),
    onSuccess: ({ token }) => {
      forget();
      onMade(token);
      onClose();
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: tokensQuery.queryKey }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!save.isPending) save.mutate();
  };
  const reasons = reasonsOf(save.error, ['name', 'role', 'unit', 'days']);
  return (
    <Dialog title={t`New token`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit}>
        <TextInput
          data-autofocus
          label={t`Name`}
          description={t`What it is for`}
          maxLength={100}
          value={wish.name}
          error={reasons.of('name')}
          onChange={(event) => change({ name: event.currentTarget.value })}
        />
        <NativeSelect
          label={t`Role`}
          value={wish.role}
          error={reasons.of('role')}
          onChange={(event) => change({ role: event.currentTarget.value })}
          data={ROLES.map((value) => ({ value, label: t(ROLE_WORDS[value]) }))}
        />
        <UnitInput value={wish.unit} error={reasons.of('unit')} onChange={(unit) => change({ unit })} />
        <NativeSelect
          label={t`For how long`}
          value={String(wish.days)}
          error={reasons.of('days')}
          onChange={(event) => change({ days: Number(event.currentTarget.value) })}
          data={DAYS.map((days) => ({ value: String(days), label: t`${days} days` }))}
        />
        {reasons.elsewhere && <Failed error={save.error} />}
        <div className={classes.end}>
          <Button variant="default" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" loading={save.isPending}>
            <Trans>Make the token</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
