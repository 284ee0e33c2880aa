import { Trans, useLingui } from '@lingui/react/macro';
import { Button, Checkbox, NativeSelect, Switch, Textarea, TextInput } from '@mantine/core';
import { useSessionStorage } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { FormEvent } from 'react';
import parts from '../administration/parts.module.css';
import { reasonsOf } from '../administration/reasons';
import { call } from '../api/client';
import { routesQuery } from '../api/queries';
import {
  type MadeRoute,
  type NotificationRoute,
  type RouteWish,
  SEVERITIES,
  type Severity,
  SUBJECTS,
} from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed } from '../app/parts';
import { SEVERITY_WORDS } from '../app/words';
import classes from './NotificationsPage.module.css';
import { SUBJECT_WORDS } from './words';

interface RouteFormProps {
  kind: RouteWish['kind'];
  /** The route that is changed; without it a new one is made. */
  route?: NotificationRoute;
  onClose: () => void;
  onSecret: (secret: string) => void;
}

function wishOf(kind: RouteWish['kind'], route: NotificationRoute | undefined): RouteWish {
  if (route) {
    const { name, target, unit, severity_min, subjects, group_minutes, template, enabled } = route;
    return { name, kind, target, unit, severity_min, subjects, group_minutes, template, enabled };
  }
  return {
    name: '',
    kind,
    target: '',
    unit: '',
    severity_min: 'high',
    subjects: [...SUBJECTS],
    group_minutes: 5,
    template: '',
    enabled: true,
  };
}

const GROUP_MINUTES = [0, 1, 5, 15, 60];

/** Makes a route, or changes one. */
export function RouteForm({ kind, route, onClose, onSecret }: RouteFormProps) {
  const { t } = useLingui();
  const queries = useQueryClient();
  // Outlives a reload and a new sign-in.
  const [wish, setWish, forget] = useSessionStorage<RouteWish>({
    key: `citywatch.route.${route ? `${route.id}.${route.version}` : kind}`,
    defaultValue: wishOf(kind, route),
    getInitialValueInEffect: false,
  });
  const change = (part: Partial<RouteWish>) => setWish((before) => ({ ...before, ...part }));
  const save = useMutation({
    mutationFn: () =>
      route
        ? call<MadeRoute>(`/notifications/routes/${encodeURIComponent(route.id)}`, {
            method: 'PUT',
            body: wish,
            ifMatch: route.version,
          })
        : call<MadeRoute>('/notifications/routes', { method: 'POST', body: wish }),
    onSuccess: (saved) => {
      forget();
      if (saved.secret) onSecret(saved.secret);
      void queries.invalidateQueries({ queryKey: routesQuery.queryKey });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!save.isPending) save.mutate();
  };
  const { of: reasonOf, elsewhere } = reasonsOf(save.error, Object.keys(wish));
  const title = route
    ? t`Change the route`
    : kind === 'email'
      ? t`New route by e-mail`
      : t`New route by webhook`;
  return (
    <Dialog title={title} onClose={onClose}>
      <form className={parts.form} onSubmit={submit} data-testid="route-form">
        <TextInput
          size="xs"
          label={t`Name`}
          data-autofocus
          required
          maxLength={100}
          value={wish.name}
          error={reasonOf('name')}
          onChange={(event) => change({ name: event.currentTarget.value })}
        />
        <TextInput
          size="xs"
          label={kind === 'email' ? t`Mail addresses, with commas between` : t`URL`}
          placeholder={kind === 'email' ? 'soc@example.vn' : 'https://chat.example.vn/hook'}
          required
          value={wish.target}
          error={reasonOf('target') ?? reasonOf('kind')}
          onChange={(event) => change({ target: event.currentTarget.value })}
        />
        <div className={classes.pair}>
          <NativeSelect
            size="xs"
            label={t`Least severity`}
            value={wish.severity_min}
            error={reasonOf('severity_min')}
            onChange={(event) => change({ severity_min: event.currentTarget.value as Severity })}
            data={SEVERITIES.map((value) => ({ value, label: t(SEVERITY_WORDS[value]) }))}
          />
          <NativeSelect
            size="xs"
            label={t`Gather for`}
            value={String(wish.group_minutes)}
            error={reasonOf('group_minutes')}
            onChange={(event) => change({ group_minutes: Number(event.currentTarget.value) })}
            data={[...new Set([...GROUP_MINUTES, wish.group_minutes])].map((minutes) => ({
              value: String(minutes),
              label: minutes === 0 ? t`at once` : t`${minutes} min`,
            }))}
          />
        </div>
        <TextInput
          size="xs"
          label={t`Unit, with those below it; empty: the whole city`}
          value={wish.unit}
          error={reasonOf('unit')}
          onChange={(event) => change({ unit: event.currentTarget.value })}
        />
        <Checkbox.Group
          size="xs"
          label={t`About`}
          value={wish.subjects}
          error={reasonOf('subjects')}
          onChange={(chosen) => change({ subjects: SUBJECTS.filter((each) => chosen.includes(each)) })}
        >
          <div className={classes.choices}>
            {SUBJECTS.map((each) => (
              <Checkbox key={each} size="xs" value={each} label={t(SUBJECT_WORDS[each])} />
            ))}
          </div>
        </Checkbox.Group>
        <Textarea
          size="xs"
          label={t`Template; empty: the usual text`}
          placeholder={
            kind === 'email'
              ? '{{count}}\n{{#items}}#{{number}} {{title}} {{link}}\n{{/items}}'
              : '{"text": "{{count}}: {{#items}}#{{number}} {{title}} {{/items}}"}'
          }
          autosize
          minRows={3}
          maxRows={10}
          value={wish.template}
          error={reasonOf('template')}
          onChange={(event) => change({ template: event.currentTarget.value })}
        />
        <Switch
          size="xs"
          label={t`Switched on`}
          checked={wish.enabled}
          onChange={(event) => change({ enabled: event.currentTarget.checked })}
        />
        {elsewhere && save.error && <Failed error={save.error} />}
        <div className={parts.end}>
          <Button variant="default" size="sm" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" size="sm" loading={save.isPending}>
            <Trans>Save</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
