import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent, ReactNode } from 'react';
import classes from '../administration/parts.module.css';
import { reasonsOf } from '../administration/reasons';
import { UnitInput } from '../administration/UnitInput';
import { call } from '../api/client';
import { postureQuery, posturesQuery, unitsQuery } from '../api/queries';
import type { Unit } from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import { plain } from '../text/hostile';

interface FormProps {
  unit: Unit;
  onClose: () => void;
}

/** What was typed outlives a reload and a new sign-in. */
function useDraft<T>(unit: Unit, form: string, defaultValue: T) {
  return useSessionStorage({
    key: `citywatch.unit.${form}.${unit.id}`,
    defaultValue,
    getInitialValueInEffect: false,
  });
}

/** Brings the tree and how its units stand up to date, once a change was made or refused. */
function useRefreshed(unit: Unit) {
  const queries = useQueryClient();
  return () =>
    Promise.all(
      [unitsQuery.queryKey, posturesQuery.queryKey, postureQuery(unit.id).queryKey].map((queryKey) =>
        queries.invalidateQueries({ queryKey }),
      ),
    );
}

/** Renames a unit, or puts it below another. Events carry its id, which stays. */
export function UnitEdit({ unit, onClose }: FormProps) {
  const { t } = useLingui();
  const [wish, setWish, forget] = useDraft(unit, 'edit', { name: unit.name, parent: unit.parent });
  const refresh = useRefreshed(unit);
  const save = useMutation({
    mutationFn: () =>
      call<Unit>(`/units/${encodeURIComponent(unit.id)}`, {
        method: 'PATCH',
        body: { name: wish.name.trim(), parent: wish.parent.trim() },
      }),
    onSuccess: () => {
      forget();
      onClose();
    },
    onSettled: refresh,
  });
  const reasons = reasonsOf(save.error, ['name', 'parent']);
  const changed = wish.name.trim() !== unit.name || wish.parent.trim() !== unit.parent;
  const name = plain(unit.name || unit.id);
  return (
    <Dialog title={t`Rename or move ${name}`} onClose={onClose}>
      <Frame
        about={
          <Trans>
            Its events keep the id {plain(unit.id)}. What it was called and where it was stays known with its
            dates.
          </Trans>
        }
        does={<Trans>Save</Trans>}
        ready={changed && wish.name.trim() !== ''}
        pending={save.isPending}
        failed={reasons.elsewhere ? save.error : null}
        onClose={onClose}
        onSubmit={() => save.mutate()}
      >
        <TextInput
          data-autofocus
          label={t`Name`}
          maxLength={300}
          value={wish.name}
          error={reasons.of('name')}
          onChange={(event) => setWish({ ...wish, name: event.currentTarget.value })}
        />
        <UnitInput
          label={t`Below`}
          description={t`The unit above it; empty at the top`}
          value={wish.parent}
          error={reasons.of('parent')}
          onChange={(parent) => setWish({ ...wish, parent })}
        />
      </Frame>
    </Dialog>
  );
}

/** Lets another unit take one in, as when offices are merged. */
export function UnitMerge({ unit, onClose }: FormProps) {
  const { t } = useLingui();
  const [into, setInto, forget] = useDraft(unit, 'merge', '');
  const refresh = useRefreshed(unit);
  const name = plain(unit.name || unit.id);
  const save = useMutation({
    mutationFn: () =>
      call<Unit>(`/units/${encodeURIComponent(unit.id)}/merge`, {
        method: 'POST',
        body: { into: into.trim() },
      }),
    onSuccess: () => {
      const taken = plain(into);
      forget();
      notifications.show({ color: 'green', title: t`Units merged`, message: t`${taken} took ${name} in` });
      onClose();
    },
    onSettled: refresh,
  });
  const reasons = reasonsOf(save.error, ['into']);
  return (
    <Dialog title={t`Merge ${name} into another unit`} onClose={onClose}>
      <Frame
        about={
          <Trans>
            {name} goes below the unit that takes it in, and so do the units below it. Its events and
            incidents stay what they are; who sees the other unit sees them.
          </Trans>
        }
        does={<Trans>Merge</Trans>}
        ready={into.trim() !== ''}
        pending={save.isPending}
        failed={reasons.elsewhere ? save.error : null}
        onClose={onClose}
        onSubmit={() => save.mutate()}
      >
        <UnitInput
          data-autofocus
          label={t`Taken in by`}
          description={t`The id of the unit that stays`}
          value={into}
          error={reasons.of('into')}
          onChange={setInto}
        />
      </Frame>
    </Dialog>
  );
}

interface FrameProps {
  about: ReactNode;
  does: ReactNode;
  ready: boolean;
  pending: boolean;
  failed: unknown;
  onClose: () => void;
  onSubmit: () => void;
  children: ReactNode;
}

function Frame({ about, does, ready, pending, failed, onClose, onSubmit, children }: FrameProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !pending) onSubmit();
  };
  return (
    <form className={classes.form} onSubmit={submit}>
      <p className={classes.about}>{about}</p>
      {children}
      {failed !== null && <Failed error={failed} />}
      <div className={classes.end}>
        <Button variant="default" onClick={onClose}>
          <Trans>Cancel</Trans>
        </Button>
        <Button type="submit" disabled={!ready} loading={pending}>
          {does}
        </Button>
      </div>
    </form>
  );
}
