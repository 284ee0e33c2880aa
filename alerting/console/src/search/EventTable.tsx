import { Trans, useLingui } from '@lingui/react/macro';
import { useMediaQuery } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { createColumnHelper } from '@tanstack/react-table';
import { type ReactNode, useCallback, useMemo } from 'react';
import type { EventRow } from '../api/types';
import type { EventsSearch } from '../app/router';
import { type RowFeatures, VirtualTable } from '../app/VirtualTable';
import tableClasses from '../app/VirtualTable.module.css';
import { brief } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './EventTable.module.css';
import { snippetOf } from './snippet';

interface EventTableProps {
  rows: EventRow[];
  pattern: RegExp | null;
  /** The event in the panel. */
  open: string | undefined;
  /** Whether the list of fields takes a part of the width. */
  crowded: boolean;
  /** The address that the links to events keep. */
  search: EventsSearch;
  footer: ReactNode;
}

const column = createColumnHelper<RowFeatures, EventRow>();

export function EventTable({ rows, pattern, open, crowded, search, footer }: EventTableProps) {
  const { t } = useLingui();
  const columns = useMemo(
    () =>
      column.columns([
        column.accessor('event_time', {
          header: () => <Trans>Time</Trans>,
          cell: ({ row }) => (
            <Link
              to="/search"
              search={{ ...search, event: row.original.id }}
              resetScroll={false}
              className={tableClasses.rowLink}
              data-row={row.index}
              data-id={row.original.id}
            >
              <Time at={row.original.event_time} precision="milliseconds" />
            </Link>
          ),
        }),
        column.accessor('host', { header: () => <Trans>Host</Trans>, cell: cellText }),
        column.accessor('unit', { header: () => <Trans>Unit</Trans>, cell: cellText }),
        column.accessor((row) => row.service || row.category || row.product, {
          id: 'source',
          header: () => <Trans>Source</Trans>,
          cell: cellText,
        }),
        column.accessor('user', { header: () => <Trans>User</Trans>, cell: cellText }),
        column.accessor('source_address', { header: () => <Trans>From address</Trans>, cell: cellText }),
        column.accessor('process', { header: () => <Trans>Process</Trans>, cell: cellText }),
        column.accessor((row) => snippetOf(row, pattern), {
          id: 'text',
          header: () => <Trans>Event</Trans>,
          cell: ({ row, getValue }) => (
            <>
              <div className={classes.below}>{brief(row.original.host)}</div>
              <div className={classes.snippet}>
                <LogText text={getValue()} pattern={pattern} />
              </div>
            </>
          ),
        }),
      ]),
    [pattern, search],
  );
  const marksOf = useCallback(
    (row: EventRow) => ({ 'data-chosen': row.id === open ? 'yes' : undefined }),
    [open],
  );
  return (
    <VirtualTable
      className={classes.events ?? ''}
      label={t`Events`}
      columns={columns}
      rows={rows}
      idOf={idOf}
      hidden={useColumnVisibility(open !== undefined, crowded)}
      marksOf={marksOf}
      startAt={open}
      footer={footer}
    />
  );
}

function idOf(row: EventRow): string {
  return row.id;
}

function cellText({ getValue }: { getValue: () => unknown }): ReactNode {
  const value = getValue();
  return value ? brief(String(value)) : <span className={classes.none}>–</span>;
}

function useColumnVisibility(panel: boolean, crowded: boolean): Record<string, boolean> {
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const wide = useMediaQuery('(min-width: 100em)', true, { getInitialValueInEffect: false });
  const middle = useMediaQuery('(min-width: 75em)', true, { getInitialValueInEffect: false });
  return useMemo(() => {
    const parts = Number(panel) + Number(crowded);
    const room = wide ? parts < 2 : middle && parts === 0;
    return {
      host: !narrow,
      unit: room,
      source: !narrow && (room || parts === 0),
      user: !narrow && (room || !panel),
      source_address: room,
      process: wide && parts === 0,
    };
  }, [narrow, middle, wide, panel, crowded]);
}
