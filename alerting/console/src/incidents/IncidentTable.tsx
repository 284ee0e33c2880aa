import { Trans, useLingui } from '@lingui/react/macro';
import { useMediaQuery } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { createColumnHelper } from '@tanstack/react-table';
import { type ReactNode, useMemo } from 'react';
import type { Incident } from '../api/types';
import { SeverityBadge, StateBadge } from '../app/parts';
import { useTitle } from '../app/titles';
import { type RowFeatures, VirtualTable } from '../app/VirtualTable';
import tableClasses from '../app/VirtualTable.module.css';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { NextClock } from './Clocks';
import classes from './IncidentTable.module.css';

interface IncidentTableProps {
  incidents: Incident[];
  startAt: string | undefined;
  onReach: (id: string) => void;
  footer: ReactNode;
}

const column = createColumnHelper<RowFeatures, Incident>();

const columns = column.columns([
  column.accessor('severity', {
    header: () => <Trans>Severity</Trans>,
    cell: ({ getValue }) => <SeverityBadge severity={getValue()} />,
  }),
  column.accessor('title', {
    header: () => <Trans>Incident</Trans>,
    cell: ({ row }) => <TitleCell incident={row.original} index={row.index} />,
  }),
  column.accessor('unit', { header: () => <Trans>Unit</Trans>, cell: ({ getValue }) => plain(getValue()) }),
  column.accessor('host', { header: () => <Trans>Host</Trans>, cell: ({ getValue }) => plain(getValue()) }),
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
    cell: ({ getValue }) => <StateBadge state={getValue()} />,
  }),
  column.accessor('clocks', {
    header: () => <Trans>Clock</Trans>,
    cell: ({ getValue }) => <NextClock clocks={getValue()} />,
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

export function IncidentTable({ incidents, startAt, onReach, footer }: IncidentTableProps) {
  const { t } = useLingui();
  return (
    <VirtualTable
      className={classes.incidents ?? ''}
      label={t`Incidents`}
      columns={columns}
      rows={incidents}
      idOf={idOf}
      hidden={useColumnVisibility()}
      marksOf={marksOf}
      startAt={startAt}
      onReach={onReach}
      footer={footer}
    />
  );
}

function idOf(incident: Incident): string {
  return incident.id;
}

function marksOf(incident: Incident) {
  return { 'data-severity': incident.severity, 'data-state': incident.state };
}

/** Narrow screens keep what decides: how bad, what, which state. */
function useColumnVisibility(): Record<string, boolean> {
  const middle = useMediaQuery('(min-width: 62em)', true, { getInitialValueInEffect: false });
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const wide = useMediaQuery('(min-width: 105em)', true, { getInitialValueInEffect: false });
  return useMemo(
    () => ({
      severity: !narrow,
      state: !narrow,
      unit: !narrow,
      host: !narrow,
      alert_count: wide,
      event_count: wide,
      clocks: middle,
      last_event_at: wide,
      created_at: !narrow,
    }),
    [narrow, middle, wide],
  );
}

function TitleCell({ incident, index }: { incident: Incident; index: number }) {
  const titleOf = useTitle();
  return (
    <>
      <Link
        to="/incidents/$id"
        params={{ id: incident.id }}
        className={`${tableClasses.rowLink} ${classes.title}`}
        data-row={index}
        data-id={incident.id}
      >
        <span className={classes.number}>#{incident.number}</span> {titleOf(incident)}
      </Link>
      <div className={classes.below}>
        <div className={classes.badges}>
          <SeverityBadge severity={incident.severity} />
          <StateBadge state={incident.state} />
        </div>
        {plain(incident.unit)} · {plain(incident.host)} · <Time at={incident.created_at} />
      </div>
    </>
  );
}

function Count({ value }: { value: number }) {
  const { i18n } = useLingui();
  return <span className={classes.count}>{i18n.number(value)}</span>;
}
