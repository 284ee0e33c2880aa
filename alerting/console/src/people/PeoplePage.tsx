import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { AdministrationPage } from '../administration/AdministrationPage';
import { OnceNote } from '../administration/OnceNote';
import classes from '../administration/parts.module.css';
import { TableFrame } from '../administration/TableFrame';
import { call } from '../api/client';
import { peopleQuery } from '../api/queries';
import type { FirstPassword, Person } from '../api/types';
import { Empty, Failed, Loading } from '../app/parts';
import { ROLES, useMe } from '../app/roles';
import { UnitName } from '../app/UnitName';
import { ROLE_WORDS } from '../app/words';
import { holdsWords } from '../text/folded';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { PersonForm } from './PersonForm';

const route = getRouteApi('/administration/people');

/** Who may sign in, as what, and for which units. */
export function PeoplePage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`People`} · Citywatch`);
  const { q = '', edit } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(peopleQuery);
  const [first, setFirst] = useState<FirstPassword>();
  const people = useMemo(
    () => data?.items.filter((each) => holdsWords(`${each.name} ${each.unit} ${each.role}`, q)) ?? [],
    [data, q],
  );
  const open = (id: string | undefined) =>
    void navigate({ search: ({ edit: _, ...before }) => (id ? { ...before, edit: id } : before) });
  const edited = data?.items.find(({ id }) => id === edit);
  return (
    <AdministrationPage title={t`People`}>
      <div className={classes.head}>
        <p className={classes.about}>
          <Trans>
            A viewer reads; an analyst works on incidents; a shift lead also suppresses; an administrator also
            manages people, tokens, units and notifications. Each within a unit and those below it.
          </Trans>
        </p>
        <div className={classes.buttons}>
          <TextInput
            size="xs"
            type="search"
            aria-label={t`Find a person`}
            placeholder={t`Find a person`}
            value={q}
            onChange={(event) => {
              const found = event.currentTarget.value;
              void navigate({
                search: ({ q: _, ...before }) => (found ? { ...before, q: found } : before),
                replace: true,
              });
            }}
          />
          <Button size="xs" onClick={() => open('new')}>
            <Trans>New person</Trans>
          </Button>
        </div>
      </div>
      {first && (
        <OnceNote secret={first.password} onClose={() => setFirst(undefined)}>
          <Trans>The password of {plain(first.name)}, shown this once. Hand it over in person.</Trans>
        </OnceNote>
      )}
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && people.length === 0 && <Empty title={t`Nobody like that`} />}
      {people.length > 0 && (
        <TableFrame label={t`People`}>
          <table className={classes.table} aria-label={t`People`}>
            <thead>
              <tr>
                <th scope="col">{t`Name`}</th>
                <th scope="col">{t`Role`}</th>
                <th scope="col">{t`Unit`}</th>
                <th scope="col">{t`Since`}</th>
                <th scope="col">{t`Actions`}</th>
              </tr>
            </thead>
            <tbody>
              {people.map((person) => (
                <Row key={person.id} person={person} onEdit={() => open(person.id)} onReset={setFirst} />
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
      {(edited || edit === 'new') && (
        <PersonForm
          key={edit}
          {...(edited ? { person: edited } : {})}
          onClose={() => open(undefined)}
          onMade={setFirst}
        />
      )}
    </AdministrationPage>
  );
}

interface RowProps {
  person: Person;
  onEdit: () => void;
  onReset: (first: FirstPassword) => void;
}

function Row({ person, onEdit, onReset }: RowProps) {
  const { t } = useLingui();
  const me = useMe();
  const queries = useQueryClient();
  const [resetting, setResetting] = useState(false);
  const path = `/users/${encodeURIComponent(person.id)}`;
  const settled = () => void queries.invalidateQueries({ queryKey: peopleQuery.queryKey });
  const reset = useMutation({
    mutationFn: () => call<FirstPassword>(`${path}/password`, { method: 'POST' }),
    onSuccess: (first) => {
      setResetting(false);
      onReset(first);
    },
    onSettled: settled,
  });
  const block = useMutation({
    mutationFn: () =>
      call<Person>(path, {
        method: 'PATCH',
        body: { disabled: !person.disabled },
        ifMatch: person.version,
      }),
    onSettled: settled,
  });
  const role = ROLES.find((each) => each === person.role);
  const failure = reset.error ?? block.error;
  return (
    <tr data-off={person.disabled || undefined} data-testid="person">
      <td>
        <b>{plain(person.name)}</b>
        {person.disabled && (
          <p className={classes.soft}>
            <Trans>may not sign in</Trans>
          </p>
        )}
      </td>
      <td className={classes.whole}>{role ? t(ROLE_WORDS[role]) : plain(person.role)}</td>
      <td>{person.unit ? <UnitName id={person.unit} /> : <Trans>the whole city</Trans>}</td>
      <td>
        <Time at={person.created_at} />
      </td>
      <td>
        {person.name === me ? (
          <span className={classes.soft}>
            <Trans>your own account: another administrator changes it</Trans>
          </span>
        ) : (
          <div className={classes.buttons}>
            <Button size="compact-sm" variant="default" onClick={onEdit}>
              <Trans>Change</Trans>
            </Button>
            {resetting ? (
              <Button size="compact-sm" color="red" loading={reset.isPending} onClick={() => reset.mutate()}>
                <Trans>Sign out and give a new password</Trans>
              </Button>
            ) : (
              <Button size="compact-sm" variant="default" onClick={() => setResetting(true)}>
                <Trans>New password</Trans>
              </Button>
            )}
            <Button
              size="compact-sm"
              variant="default"
              loading={block.isPending}
              onClick={() => block.mutate()}
            >
              {person.disabled ? <Trans>Let in again</Trans> : <Trans>Shut out</Trans>}
            </Button>
          </div>
        )}
        {failure && <Failed error={failure} />}
      </td>
    </tr>
  );
}
