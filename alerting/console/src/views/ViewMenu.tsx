import { Trans, useLingui } from '@lingui/react/macro';
import { Button, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Suspense, useEffect, useState } from 'react';
import { viewsQuery } from '../api/queries';
import type { SavedView } from '../api/types';
import { lazyPart } from '../app/lazily';
import { useMe } from '../app/roles';
import { failureOf } from '../app/words';
import { plain } from '../text/hostile';
import { deleteView, moveFormerViews, queryOf, saveView, searchOf, type ViewScreen } from './views';

const NameDialog = lazyPart(() => import('./NameDialog'));

interface ViewMenuProps {
  screen: ViewScreen;
  to: '/incidents' | '/search';
  /** The part of the address that a view keeps. */
  search: Record<string, string | undefined>;
  /** Views that everybody has. */
  given: { name: string; search: Record<string, string | undefined> }[];
  size?: 'xs' | 'sm';
}

/** The views of a screen: given ones, the person's own, and what can be done with the present one. */
export function ViewMenu({ screen, to, search, given, size = 'xs' }: ViewMenuProps) {
  const { t } = useLingui();
  const saved = useOwnViews(screen);
  const [naming, setNaming] = useState<'new' | 'rename' | null>(null);
  const query = queryOf(search);
  const own = saved.find((view) => view.query === query);
  const chosen = own ?? given.find((view) => queryOf(view.search) === query);
  const remove = useRemoval();
  const share = useSharing();
  const item = (id: string, name: string, wanted: string) => (
    <Menu.Item
      key={id}
      data-testid="view"
      renderRoot={(props) => <Link {...props} to={to} search={searchOf(wanted)} />}
    >
      <bdi>{plain(name)}</bdi>
    </Menu.Item>
  );
  return (
    <>
      <Menu position="bottom-end" width={260}>
        <Menu.Target>
          <Button size={size} variant="default">
            <Trans>View: {chosen ? plain(chosen.name) : t`own choice`}</Trans>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {given.map((view) => item(view.name, view.name, queryOf(view.search)))}
          {given.length > 0 && <Menu.Divider />}
          {saved.map((view) => item(view.id, view.name, view.query))}
          {saved.length > 0 && <Menu.Divider />}
          {!own && (
            <Menu.Item onClick={() => setNaming('new')}>
              <Trans>Keep this view…</Trans>
            </Menu.Item>
          )}
          {own && (
            <>
              <Menu.Item onClick={() => setNaming('rename')}>
                <Trans>Rename this view…</Trans>
              </Menu.Item>
              <Menu.Item onClick={() => void remove(own)}>
                <Trans>Delete this view</Trans>
              </Menu.Item>
            </>
          )}
          <Menu.Item onClick={() => void share(`${to}${query && '?'}${query}`)}>
            <Trans>Copy a link to it</Trans>
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Suspense fallback={null}>
        {naming && (
          <NameDialog
            screen={screen}
            query={query}
            saved={saved}
            renamed={naming === 'rename' ? own : undefined}
            onClose={() => setNaming(null)}
          />
        )}
      </Suspense>
    </>
  );
}

/** The person's own views of a screen; those that the browser kept are given to the server first. */
function useOwnViews(screen: ViewScreen): SavedView[] {
  const me = useMe();
  const queries = useQueryClient();
  const { data } = useQuery(viewsQuery);
  useEffect(() => {
    void moveFormerViews(me).then((moved) => {
      if (moved > 0) void queries.invalidateQueries({ queryKey: viewsQuery.queryKey });
    });
  }, [me, queries]);
  return (data?.items ?? []).filter((view) => view.screen === screen);
}

/** Deletes a view, and brings it back when asked. */
function useRemoval(): (view: SavedView) => Promise<void> {
  const { t } = useLingui();
  const queries = useQueryClient();
  const fail = (error: unknown) => {
    const { what, detail } = failureOf(error);
    notifications.show({ color: 'red', title: t`Nothing was changed`, message: `${t(what)} ${detail}` });
  };
  const read = () => queries.invalidateQueries({ queryKey: viewsQuery.queryKey });
  return async (view) => {
    const id = `view ${view.id}`;
    const back = () => {
      notifications.hide(id);
      saveView({ name: view.name, screen: view.screen, query: view.query }).then(read, fail);
    };
    try {
      await deleteView(view);
      notifications.show({
        id,
        title: t`The view ${plain(view.name)} is deleted`,
        message: (
          <Button size="compact-xs" variant="default" onClick={back}>
            <Trans>Undo</Trans>
          </Button>
        ),
      });
    } catch (error) {
      fail(error);
    }
    await read();
  };
}

/** Puts an address where it can be pasted from, or shows it where that is not allowed. */
function useSharing(): (path: string) => Promise<void> {
  const { t } = useLingui();
  return async (path) => {
    const link = window.location.origin + path;
    try {
      await navigator.clipboard.writeText(link);
      notifications.show({ title: t`The link is copied`, message: link });
    } catch {
      notifications.show({ title: t`Copy this link`, message: link, autoClose: false });
    }
  };
}
