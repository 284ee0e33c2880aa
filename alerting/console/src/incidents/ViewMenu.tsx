import { Trans, useLingui } from '@lingui/react/macro';
import { Button, Menu } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import type { IncidentFilter } from '../api/queries';
import { useMe } from '../app/roles';
import { filterKey, GIVEN_VIEWS, type View, withView } from './views';

const NameDialog = lazy(() => import('./NameDialog'));

/** The views: given ones, the person's own, and a way to keep the present one. */
export function ViewMenu({ filter }: { filter: IncidentFilter }) {
  const { t } = useLingui();
  const me = useMe();
  const [saved, setSaved] = useLocalStorage<View[]>({
    key: `citywatch.views.${me}`,
    defaultValue: [],
    getInitialValueInEffect: false,
  });
  const [naming, setNaming] = useState(false);
  const given = GIVEN_VIEWS.map((view) => ({ name: t(view.words), filter: view.filter(me) }));
  const key = filterKey(filter);
  const chosen = [...given, ...saved].find((view) => filterKey(view.filter) === key);
  const item = (view: View) => (
    <Menu.Item
      key={`${view.name} ${filterKey(view.filter)}`}
      renderRoot={(props) => <Link {...props} to="/incidents" search={view.filter} />}
    >
      {view.name}
    </Menu.Item>
  );
  return (
    <>
      <Menu position="bottom-end" width={240}>
        <Menu.Target>
          <Button size="xs" variant="default">
            <Trans>View: {chosen?.name ?? t`own choice`}</Trans>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {given.map(item)}
          {saved.length > 0 && <Menu.Divider />}
          {saved.map(item)}
          <Menu.Divider />
          {!chosen && (
            <Menu.Item onClick={() => setNaming(true)}>
              <Trans>Keep this view…</Trans>
            </Menu.Item>
          )}
          {chosen && saved.includes(chosen) && (
            <Menu.Item onClick={() => setSaved(saved.filter((view) => view !== chosen))}>
              <Trans>Forget this view</Trans>
            </Menu.Item>
          )}
          {chosen && !saved.includes(chosen) && (
            <Menu.Label>
              <Trans>Choose other filters to keep a view of your own.</Trans>
            </Menu.Label>
          )}
        </Menu.Dropdown>
      </Menu>
      <Suspense fallback={null}>
        {naming && (
          <NameDialog
            onClose={() => setNaming(false)}
            onName={(name) => {
              setSaved(withView(saved, { name, filter }));
              setNaming(false);
            }}
          />
        )}
      </Suspense>
    </>
  );
}
