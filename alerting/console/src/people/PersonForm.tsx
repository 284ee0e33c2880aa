import { Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import classes from '../administration/parts.module.css';
import { reasonsOf } from '../administration/reasons';
import { UnitInput } from '../administration/UnitInput';
import { call } from '../api/client';
import { peopleQuery } from '../api/queries';
import type { FirstPassword, Person } from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import { ROLES } from '../app/roles';
import { ROLE_WORDS } from '../app/words';
import { plain } from '../text/hostile';

interface PersonFormProps {
  /** Who is changed; without it a new person is made. */
  person?: Person;
  onClose: () => void;
  onMade: (first: FirstPassword) => void;
}

/** Makes a person, or changes role and unit of one. */
export function PersonForm({ person, onClose, onMade }: PersonFormProps) {
  const { t } = useLingui();
  const queries = useQueryClient();
  // Outlives a reload and a new sign-in.
  const [wish, setWish, forget] = useSessionStorage({
    key: `citywatch.person.${person ? `${person.id}.${person.version}` : 'new'}`,
    defaultValue: { name: '', role: (person?.role ?? 'analyst') as string, unit: person?.unit ?? '' },
    getInitialValueInEffect: false,
  });
  const change = (part: Partial<typeof wish>) => setWish((before) => ({ ...before, ...part }));
  const save = useMutation({
    mutationFn: async () => {
      const { name, role, unit } = wish;
      if (!person) return call<FirstPassword>('/users', { method: 'POST', body: { name, role, unit } });
      await call<Person>(`/users/${encodeURIComponent(person.id)}`, {
        method: 'PATCH',
        body: { role, unit },
        ifMatch: person.version,
      });
      return null;
    },
    onSuccess: (first) => {
      forget();
      if (first) onMade(first);
      onClose();
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: peopleQuery.queryKey }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!save.isPending) save.mutate();
  };
  const reasons = reasonsOf(save.error, ['name', 'role', 'unit']);
  const name = plain(person?.name ?? '');
  return (
    <Dialog title={person ? t`Change ${name}` : t`New person`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit}>
        {!person && (
          <TextInput
            data-autofocus
            label={t`Name`}
            description={t`What they sign in with: letters, digits, . _ @ -`}
            maxLength={64}
            value={wish.name}
            error={reasons.of('name')}
            onChange={(event) => change({ name: event.currentTarget.value })}
          />
        )}
        <NativeSelect
          label={t`Role`}
          value={wish.role}
          error={reasons.of('role')}
          onChange={(event) => change({ role: event.currentTarget.value })}
          data={ROLES.map((value) => ({ value, label: t(ROLE_WORDS[value]) }))}
        />
        <UnitInput value={wish.unit} error={reasons.of('unit')} onChange={(unit) => change({ unit })} />
        {reasons.elsewhere && <Failed error={save.error} />}
        <div className={classes.end}>
          <Button variant="default" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" loading={save.isPending}>
            <Trans>Save</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
