import { Trans, useLingui } from '@lingui/react/macro';
import { useMediaQuery } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { createColumnHelper } from '@tanstack/react-table';
import { createContext, type MouseEvent, type ReactNode, useContext, useMemo } from 'react';
import type { Incident } from '../api/types';
import { SeverityBadge, StateBadge, VerdictBadge } from '../app/parts';
import { useRole } from '../app/roles';
import { useTitle } from '../app/titles';
import { UnitName } from '../app/UnitName';
import { type RowFeatures, VirtualTable } from '../app/VirtualTable';
import tableClasses from '../app/VirtualTable.module.css';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { NextClock } from './Clocks';
import classes from './IncidentTable.module.css';
import { useQueue } from './queue';

interface IncidentTableProps {
  incidents: Incident[];
  startAt: string | undefined;
  onStand: (id: string) => void;
  onReach: (id: string) => void;
  /** Whether the filters stand beside it, so that there is less room. */
  crowded: boolean;
  footer: ReactNode;
}

const column = createColumnHelper<RowFeatures, Incident>();

const columns = column.columns([
  column.display({
    id: 'chosen',
    header: () => <TickAll />,
    cell: ({ row }) => <Tick incident={row.original} />,
  }),
  column.accessor('severity', {
    header: () => <Trans>Severity</Trans>,
    cell: ({ getValue }) => (
      <Cell>
        <SeverityBadge severity={getValue()} />
      </Cell>
    ),
  }),
  column.accessor('title', {
    header: () => <Trans>Incident</Trans>,
    cell: ({ row }) => <TitleCell incident={row.original} index={row.index} />,
  }),
  column.accessor('host', {
    header: () => <Trans>Host and unit</Trans>,
    cell: ({ row: { original } }) => (
      <Cell>
        <div className={classes.line} title={plain(original.host)}>
          {plain(original.host) || '–'}
        </div>
        <div className={`${classes.line} ${classes.second}`}>
          <UnitName id={original.unit} />
        </div>
      </Cell>
    ),
  }),
  column.accessor('alert_count', {
    header: () => <Trans>Alerts</Trans>,
    cell: ({ getValue }) => <Count value={getValue()} />,
  }),
  column.accessor('event_count', {
    header: () => <Trans>Events</Trans>,
    cell: ({ getValue }) => <Count value={getValue()} />,
  }),
  column.accessor('state', {
    header: () => <Trans>State</Trans>,
    cell: ({ row: { original } }) => (
      <Cell>
        <StateBadge state={original.state} />
        {original.assignee && (
          <div className={`${classes.line} ${classes.second}`} title={plain(original.assignee)}>
            {plain(original.assignee)}
          </div>
        )}
      </Cell>
    ),
  }),
  column.accessor('clocks', {
    header: () => <Trans>Clock</Trans>,
    cell: ({ row: { original } }) => (
      <Cell>
        {!original.merged_into && <NextClock clocks={original.clocks} />}
        <div className={`${classes.line} ${classes.second} ${classes.detected}`}>
          <Trans>
            detected <Time at={original.created_at} />
          </Trans>
        </div>
      </Cell>
    ),
  }),
  column.accessor('last_event_at', {
    header: () => <Trans>Last event</Trans>,
    cell: ({ getValue }) => <Time at={getValue()} />,
  }),
  column.accessor('created_at', {
    header: () => <Trans>Detected</Trans>,
    cell: ({ getValue }) => <Time at={getValue()} />,
  }),
]);

/** Of one height, whatever is in it. */
function Cell({ children }: { children: ReactNode }) {
  return <div className={classes.cell}>{children}</div>;
}

const Shown = createContext<Incident[]>([]);

export function IncidentTable({ incidents, startAt, onStand, onReach, crowded, footer }: IncidentTableProps) {
  const { t } = useLingui();
  const { panel, selection } = useQueue();
  const shown = useColumnVisibility(panel !== undefined, crowded);
  const looks = [
    classes.incidents,
    panel === undefined ? '' : classes.beside,
    shown.created_at ? '' : classes.crowded,
  ];
  return (
    <Shown value={incidents}>
      <VirtualTable
        className={looks.join(' ')}
        label={t`Incidents`}
        columns={columns}
        rows={incidents}
        idOf={idOf}
        hidden={{ ...shown, chosen: useRole('analyst') }}
        marksOf={(incident) => ({
          'data-severity': incident.severity,
          'data-state': incident.state,
          'data-open': incident.id === panel ? 'true' : undefined,
          'data-chosen': selection.ids.has(incident.id) ? 'true' : undefined,
        })}
        startAt={startAt}
        onStand={onStand}
        onReach={onReach}
        footer={footer}
      />
    </Shown>
  );
}

/** Ticks all rows that are loaded, or none. */
function TickAll() {
  const { t } = useLingui();
  const { selection } = useQueue();
  const ids = useContext(Shown).map(idOf);
  const ticked = ids.filter((id) => selection.ids.has(id)).length;
  return (
    <input
      type="checkbox"
      className={classes.tick}
      aria-label={t`Tick all that are loaded`}
      checked={ticked > 0 && ticked === ids.length}
      ref={(input) => {
        if (input) input.indeterminate = ticked > 0 && ticked < ids.length;
      }}
      onChange={() => selection.set(ids, ticked === ids.length ? 'out' : 'in')}
    />
  );
}

/** Ticks a row; with Shift all from the one that was ticked last. */
function Tick({ incident }: { incident: Incident }) {
  const { t } = useLingui();
  const { selection, upTo } = useQueue();
  const chosen = selection.ids.has(incident.id);
  return (
    <input
      type="checkbox"
      className={classes.tick}
      aria-label={t`Tick #${incident.number}`}
      tabIndex={-1}
      checked={chosen}
      onChange={(event) => {
        const withShift = (event.nativeEvent as unknown as MouseEvent).shiftKey;
        const range = upTo(incident.id);
        selection.set(withShift ? range : [incident.id], chosen ? 'out' : 'in');
      }}
    />
  );
}

function idOf(incident: Incident): string {
  return incident.id;
}

/** Narrow screens keep what decides: how bad, what, which state. Columns have their widths, the title gets the rest. */
function useColumnVisibility(beside: boolean, crowded: boolean): Record<string, boolean> {
  const middle = useMediaQuery('(min-width: 62em)', true, { getInitialValueInEffect: false });
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const large = useMediaQuery('(min-width: 80em)', true, { getInitialValueInEffect: false });
  const roomy = useMediaQuery('(min-width: 88em)', true, { getInitialValueInEffect: false });
  const wide = useMediaQuery('(min-width: 105em)', true, { getInitialValueInEffect: false });
  return useMemo(
    () => ({
      // Beside a panel, or filters in a small window, the bar at its edge says it.
      severity: !narrow && (roomy || !beside) && (large || (middle && !crowded)),
      state: !narrow,
      host: large,
      alert_count: wide && !beside,
      event_count: wide && !beside,
      clocks: middle && (wide || !beside),
      last_event_at: wide && !beside,
      created_at: !narrow && !beside && (wide || (large ? !crowded : !middle)),
    }),
    [narrow, middle, large, roomy, wide, beside, crowded],
  );
}

function TitleCell({ incident, index }: { incident: Incident; index: number }) {
  const titleOf = useTitle();
  const { panel, open } = useQueue();
  const beside = useMediaQuery('(min-width: 48em)', true, { getInitialValueInEffect: false });
  // Beside the table first; Enter on what is beside it already leads to its page, as it does on a phone.
  const choose = (event: MouseEvent) => {
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    const again = event.detail === 2 || (event.detail === 0 && panel === incident.id);
    if (elsewhere || again || !beside) return;
    event.preventDefault();
    open(incident.id);
  };
  return (
    <Cell>
      <div className={classes.titleLines}>
        <Link
          onClick={choose}
          to="/incidents/$id"
          params={{ id: incident.id }}
          className={`${tableClasses.rowLink} ${classes.title}`}
          data-row={index}
          data-id={incident.id}
          title={titleOf(incident)}
        >
          <span className={classes.number}>#{incident.number}</span> {titleOf(incident)}
        </Link>
      </div>
      {incident.verdict && (
        <div className={`${classes.line} ${classes.verdict}`}>
          <VerdictBadge verdict={incident.verdict} />
        </div>
      )}
      <div className={classes.below}>
        <div className={classes.badges}>
          <SeverityBadge severity={incident.severity} />
          <StateBadge state={incident.state} />
        </div>
        <div className={classes.line}>
          <Time at={incident.created_at} /> · <UnitName id={incident.unit} /> · {plain(incident.host)}
        </div>
      </div>
    </Cell>
  );
}

function Count({ value }: { value: number }) {
  const { i18n } = useLingui();
  return <span className={classes.count}>{i18n.number(value)}</span>;
}
