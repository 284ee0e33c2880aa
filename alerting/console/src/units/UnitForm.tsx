import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent, ReactNode } from 'react';
import classes from '../administration/parts.module.css';
import { reasonsOf } from '../administration/reasons';
import { UnitInput } from '../administration/UnitInput';
import { ApiError, call } from '../api/client';
import { postureQuery, posturesQuery, unitsQuery } from '../api/queries';
import type { Unit } from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import parts from '../app/parts.module.css';
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

/** What is wanted of a unit, decided on the version that was seen then. What was not touched is not sent. */
interface Wish {
  seen?: number;
  name?: string;
  parent?: string;
  into?: string;
}

interface SaveOptions {
  unit: Unit;
  /** `edit` or `merge`. */
  form: string;
  send: (path: string, wish: Wish, ifMatch: number) => Promise<Unit>;
  onSaved: (wish: Wish) => void;
}

/** A wish, kept until it is granted, and the way to have it granted. */
function useSave({ unit, form, send, onSaved }: SaveOptions) {
  const [wish, setWish, forget] = useDraft<Wish>(unit, form, {});
  const refresh = useRefreshed(unit);
  const save = useMutation({
    mutationFn: () => send(`/units/${encodeURIComponent(unit.id)}`, wish, wish.seen ?? unit.version),
    onSuccess: () => {
      forget();
      onSaved(wish);
    },
    onSettled: () => void refresh(),
    onError: (error) => {
      const current = error instanceof ApiError && error.status === 412 && error.problem.current_version;
      // What it is now is told with the refusal: who saves again has seen it.
      if (current) setWish((before) => ({ ...before, seen: current }));
    },
  });
  const change = (part: Wish) => setWish((before) => ({ seen: unit.version, ...before, ...part }));
  return { wish, change, save };
}

/** Renames a unit, or puts it below another. Events carry its id, which stays. */
export function UnitEdit({ unit, onClose }: FormProps) {
  const { t } = useLingui();
  const { wish, change, save } = useSave({
    unit,
    form: 'edit',
    send: (path, { name, parent }, ifMatch) => {
      const body = { name: name?.trim(), parent: parent?.trim() };
      return call<Unit>(path, { method: 'PATCH', body, ifMatch });
    },
    onSaved: onClose,
  });
  const reasons = reasonsOf(save.error, ['name', 'parent']);
  const { name: newName = unit.name, parent: newParent = unit.parent } = wish;
  const changed = newName.trim() !== unit.name || newParent.trim() !== unit.parent;
  const name = plain(unit.name || unit.id);
  return (
    <Dialog title={t`Rename or move ${name}`} onClose={onClose}>
      <Frame
        unit={unit}
        about={
          <Trans>
            Its events keep the id {plain(unit.id)}. What it was called and where it was stays known with its
            dates.
          </Trans>
        }
        does={<Trans>Save</Trans>}
        ready={changed && newName.trim() !== ''}
        pending={save.isPending}
        failed={reasons.elsewhere ? save.error : null}
        onClose={onClose}
        onSubmit={() => save.mutate()}
      >
        <TextInput
          data-autofocus
          label={t`Name`}
          maxLength={300}
          value={newName}
          error={reasons.of('name')}
          onChange={(event) => change({ name: event.currentTarget.value })}
        />
        <UnitInput
          label={t`Below`}
          description={t`The unit above it; empty at the top`}
          value={newParent}
          error={reasons.of('parent')}
          onChange={(parent) => change({ parent })}
        />
      </Frame>
    </Dialog>
  );
}

/** Lets another unit take one in, as when offices are merged. */
export function UnitMerge({ unit, onClose }: FormProps) {
  const { t } = useLingui();
  const name = plain(unit.name || unit.id);
  const { wish, change, save } = useSave({
    unit,
    form: 'merge',
    send: (path, { into = '' }, ifMatch) =>
      call<Unit>(`${path}/merge`, { method: 'POST', body: { into: into.trim() }, ifMatch }),
    onSaved: ({ into = '' }) => {
      const taken = plain(into);
      notifications.show({ color: 'green', title: t`Units merged`, message: t`${taken} took ${name} in` });
      onClose();
    },
  });
  const { into = '' } = wish;
  const reasons = reasonsOf(save.error, ['into']);
  return (
    <Dialog title={t`Merge ${name} into another unit`} onClose={onClose}>
      <Frame
        unit={unit}
        about={
          <Trans>
            {name} goes below the unit that takes it in, and so do the units below it. Its events and
            incidents stay what they are; who sees the other unit sees them.
          </Trans>
        }
        does={<Trans context="units">Merge</Trans>}
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
          onChange={(value) => change({ into: value })}
        />
      </Frame>
    </Dialog>
  );
}

/** Why nothing was saved. After somebody else's change: what the unit is now. */
function NotSaved({ unit, error }: { unit: Unit; error: unknown }) {
  if (!(error instanceof ApiError && error.status === 412)) return <Failed error={error} />;
  const name = plain(unit.name || unit.id);
  return (
    <p className={parts.failed} role="alert">
      {unit.parent ? (
        <Trans>
          Somebody else has changed this unit meanwhile; it is now {name}, below {plain(unit.parent)}. Your
          change was not made. Look at it, then save again if you still want it.
        </Trans>
      ) : (
        <Trans>
          Somebody else has changed this unit meanwhile; it is now {name}, at the top. Your change was not
          made. Look at it, then save again if you still want it.
        </Trans>
      )}
    </p>
  );
}

interface FrameProps {
  unit: Unit;
  about: ReactNode;
  does: ReactNode;
  ready: boolean;
  pending: boolean;
  failed: unknown;
  onClose: () => void;
  onSubmit: () => void;
  children: ReactNode;
}

function Frame({ unit, about, does, ready, pending, failed, onClose, onSubmit, children }: FrameProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !pending) onSubmit();
  };
  return (
    <form className={classes.form} onSubmit={submit}>
      <p className={classes.about}>{about}</p>
      {children}
      {failed !== null && <NotSaved unit={unit} error={failed} />}
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
