import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput, UnstyledButton } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { unitsQuery } from '../api/queries';
import { useKey } from '../app/keys';
import { PanelPlace } from '../app/PanelPlace';
import { Empty, Failed, Loading } from '../app/parts';
import { useRole } from '../app/roles';
import { plain } from '../text/hostile';
import { found, treeOf } from './tree';
import { UnitImport } from './UnitImport';
import { UnitPanel } from './UnitPanel';
import classes from './UnitsPage.module.css';

const route = getRouteApi('/units');

/** More than this are found by words. */
const SHOWN_MAX = 500;

/** The offices of the city as a tree; each leads to its incidents. */
export function UnitsPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Units`} · Citywatch`);
  const { q = '', open } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(unitsQuery);
  const mayImport = useRole('administrator');
  const [importing, setImporting] = useState(false);
  const units = useMemo(() => found(treeOf(data?.items ?? []), q), [data, q]);
  const more = units.length - SHOWN_MAX;
  const opened = data?.items.find(({ id }) => id === open);
  const show = (id: string | undefined) =>
    void navigate({
      search: ({ open: _, ...before }) => (id ? { ...before, open: id } : before),
      resetScroll: false,
    });
  useKey('Escape', opened ? () => show(undefined) : undefined, t`Close the panel`);
  return (
    <div className={classes.frame}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <div className={classes.page} role="region" tabIndex={0} aria-labelledby="units-title">
        <div className={classes.head}>
          <h1 id="units-title" className={classes.title}>
            <Trans>Units</Trans>
          </h1>
          {data && (
            <span className={classes.soft}>
              <Plural value={data.items.length} one="# unit" other="# units" />
            </span>
          )}
          <TextInput
            size="xs"
            type="search"
            className={classes.search ?? ''}
            aria-label={t`Find a unit`}
            placeholder={t`Find a unit`}
            value={q}
            onChange={(event) => {
              const words = event.currentTarget.value;
              void navigate({
                search: ({ q: _, ...before }) => (words ? { ...before, q: words } : before),
                replace: true,
              });
            }}
          />
          {mayImport && (
            <Button size="xs" onClick={() => setImporting(true)}>
              <Trans>Import CSV…</Trans>
            </Button>
          )}
        </div>
        {isPending && <Loading />}
        {error && <Failed error={error} retry={() => void refetch()} />}
        {data && units.length === 0 && (
          <Empty title={q ? t`No unit like that` : t`No units yet`}>
            {!q && <Trans>Units come in as a CSV file with the columns id, name and parent.</Trans>}
          </Empty>
        )}
        <ul className={classes.tree}>
          {units.slice(0, SHOWN_MAX).map((unit) => (
            <li key={unit.id} style={{ paddingLeft: `${unit.depth * 24 + 12}px` }} data-testid="unit">
              <UnstyledButton
                className={classes.toggle}
                aria-expanded={unit.id === open}
                onClick={() => show(unit.id === open ? undefined : unit.id)}
              >
                {plain(unit.name || unit.id)}
              </UnstyledButton>{' '}
              <span className={classes.id}>{plain(unit.id)}</span>
              {unit.below > 0 && (
                <span className={classes.soft}>
                  <Plural value={unit.below} one="# unit below" other="# units below" />
                </span>
              )}
              <span className={classes.ways}>
                <Link to="/incidents" search={{ unit: unit.id, state: 'open' }}>
                  <Trans>Open incidents</Trans>
                </Link>
              </span>
            </li>
          ))}
        </ul>
        {more > 0 && (
          <p className={classes.soft}>
            <Trans>and {more} more: look for a word of theirs</Trans>
          </p>
        )}
        {importing && <UnitImport onClose={() => setImporting(false)} />}
      </div>
      <PanelPlace label={t`Unit`} open={opened !== undefined} onClose={() => show(undefined)}>
        {opened && <UnitPanel key={opened.id} unit={opened} />}
      </PanelPlace>
    </div>
  );
}
