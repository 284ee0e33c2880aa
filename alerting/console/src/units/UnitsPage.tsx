import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect, TextInput, UnstyledButton } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type CSSProperties, useMemo, useState } from 'react';
import { posturesQuery, unitsQuery } from '../api/queries';
import { SEVERITIES, type UnitStanding } from '../api/types';
import { useKey } from '../app/keys';
import { PanelPlace } from '../app/PanelPlace';
import { Empty, Failed, Loading, SeverityBadge } from '../app/parts';
import { useRole, useWholeCity } from '../app/roles';
import { UNIT_STANDINGS } from '../app/router';
import { SEVERITY_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { found, treeOf, withAbove } from './tree';
import { UnitEdit, UnitMerge } from './UnitForm';
import { UnitImport } from './UnitImport';
import { UnitPanel } from './UnitPanel';
import classes from './UnitsPage.module.css';

const route = getRouteApi('/units');

/** More than this are found by words. */
const SHOWN_MAX = 500;

/** The offices of the city as a tree, how each stands with those below it, and which fell silent. */
export function UnitsPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Units`} · Citywatch`);
  const { q = '', open, show: shown, change } = route.useSearch();
  const navigate = route.useNavigate();
  const { data, error, isPending, refetch } = useQuery(unitsQuery);
  const postures = useQuery(posturesQuery);
  const administrates = useRole('administrator');
  const mayChange = useWholeCity() && administrates;
  const [importing, setImporting] = useState(false);
  const standings = useMemo(
    () => new Map(postures.data?.items.map((standing) => [standing.id, standing])),
    [postures.data],
  );
  const units = useMemo(() => {
    const tree = found(treeOf(data?.items ?? []), q);
    if (!shown) return tree;
    return withAbove(tree, ({ id }) => {
      const standing = standings.get(id);
      return shown === 'silent' ? (standing?.silent ?? 0) > 0 : Object.keys(standing?.open ?? {}).length > 0;
    });
  }, [data, q, shown, standings]);
  const more = units.length - SHOWN_MAX;
  const opened = data?.items.find(({ id }) => id === open);
  const show = (id: string | undefined) =>
    void navigate({
      search: ({ open: _, change: __, ...before }) => (id ? { ...before, open: id } : before),
      resetScroll: false,
    });
  const changeBy = (form: 'edit' | 'merge' | undefined) =>
    void navigate({
      search: ({ change: _, ...before }) => (form ? { ...before, change: form } : before),
      resetScroll: false,
    });
  const closeForm = () => changeBy(undefined);
  useKey('Escape', opened && !change ? () => show(undefined) : undefined, t`Close the panel`);
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
          <NativeSelect
            size="xs"
            aria-label={t`Which units`}
            value={shown ?? ''}
            onChange={(event) => {
              const wanted = UNIT_STANDINGS.find((each) => each === event.currentTarget.value);
              void navigate({
                search: ({ show: _, ...before }) => (wanted ? { ...before, show: wanted } : before),
                replace: true,
              });
            }}
            data={[
              { value: '', label: t`All units` },
              { value: 'incidents', label: t`With open incidents` },
              { value: 'silent', label: t`With silent agents` },
            ]}
          />
          {mayChange && (
            <Button size="xs" onClick={() => setImporting(true)}>
              <Trans>Import CSV…</Trans>
            </Button>
          )}
        </div>
        {isPending && <Loading />}
        {error && <Failed error={error} retry={() => void refetch()} />}
        {postures.error && <Failed error={postures.error} retry={() => void postures.refetch()} />}
        {data && units.length === 0 && (
          <Empty title={q || shown ? t`No unit like that` : t`No units yet`}>
            {!q && !shown && <Trans>Units come in as a CSV file with the columns id, name and parent.</Trans>}
          </Empty>
        )}
        {units.length > 0 && (
          <p className={classes.legend}>
            <Trans>Open incidents</Trans>{' '}
            {SEVERITIES.map((severity) => (
              <SeverityBadge key={severity} severity={severity} />
            ))}
          </p>
        )}
        <ul className={classes.tree}>
          {units.slice(0, SHOWN_MAX).map((unit) => (
            <li key={unit.id} style={{ '--depth': unit.depth } as CSSProperties} data-testid="unit">
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
                <Standing standing={standings.get(unit.id)} />
                <Link to="/incidents" search={{ unit_below: unit.id, state: 'open' }}>
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
        {opened && (
          <UnitPanel
            key={opened.id}
            unit={opened}
            onClose={() => show(undefined)}
            onChange={mayChange ? changeBy : undefined}
          />
        )}
      </PanelPlace>
      {opened && mayChange && change === 'edit' && (
        <UnitEdit key={opened.id} unit={opened} onClose={closeForm} />
      )}
      {opened && mayChange && change === 'merge' && (
        <UnitMerge key={opened.id} unit={opened} onClose={closeForm} />
      )}
    </div>
  );
}

/** Open incidents by severity, and what is silent: with the units below. */
function Standing({ standing }: { standing: UnitStanding | undefined }) {
  const { t, i18n } = useLingui();
  if (!standing) return null;
  const silent = standing.silent ?? 0;
  return (
    <>
      {silent > 0 && standing.silent_since && (
        <span className={classes.silent} data-testid="silent">
          <Plural value={silent} one="# agent silent" other="# agents silent" />{' '}
          <Trans>
            since <Time at={standing.silent_since} />
          </Trans>
        </span>
      )}
      <span className={classes.counts}>
        {SEVERITIES.map((severity) => {
          const count = standing.open[severity];
          if (!count) return null;
          const word = t(SEVERITY_WORDS[severity]);
          return (
            <Link
              key={severity}
              className={classes.count}
              data-severity={severity}
              title={word}
              aria-label={t`${i18n.number(count)} open, ${word}`}
              to="/incidents"
              search={{ unit_below: standing.id, state: 'open', severity }}
            >
              {i18n.number(count)}
            </Link>
          );
        })}
      </span>
    </>
  );
}
