import { Trans, useLingui } from '@lingui/react/macro';
import { useMediaQuery } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { createColumnHelper } from '@tanstack/react-table';
import { type ReactNode, useCallback, useMemo } from 'react';
import type { EventRow } from '../api/types';
import type { EventsSearch } from '../app/router';
import { type RowFeatures, VirtualTable } from '../app/VirtualTable';
import tableClasses from '../app/VirtualTable.module.css';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import classes from './EventTable.module.css';

interface EventTableProps {
  rows: EventRow[];
  pattern: RegExp | null;
  /** The event in the panel. */
  open: string | undefined;
  /** The address that the links to events keep. */
  search: EventsSearch;
  footer: ReactNode;
}

const column = createColumnHelper<RowFeatures, EventRow>();

/** A line of the table shows no more than this of an event's text. */
const SNIPPET_CHARS = 300;

export function EventTable({ rows, pattern, open, search, footer }: EventTableProps) {
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
        column.accessor((row) => snippet(row, pattern), {
          id: 'text',
          header: () => <Trans>Event</Trans>,
          cell: ({ row, getValue }) => (
            <>
              <div className={classes.below}>{plain(row.original.host)}</div>
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
      hidden={useColumnVisibility(open !== undefined)}
      marksOf={marksOf}
      startAt={open}
      footer={footer}
    />
  );
}

function idOf(row: EventRow): string {
  return row.id;
}

/** What says most about the event in a line or two; where the search found something, that. */
function snippet(row: EventRow, pattern: RegExp | null): string {
  const texts = [row.message, row.command_line, row.raw, row.action].filter((text) => !!text) as string[];
  for (const text of texts) {
    const found = pattern ? text.search(pattern) : -1;
    if (found >= 0) return excerpt(text, found);
  }
  return excerpt(texts[0] ?? '', 0);
}

/** Keeps this much of what stands before a finding. */
const BEFORE_CHARS = 40;

function excerpt(text: string, found: number): string {
  const start = found > 2 * BEFORE_CHARS ? found - BEFORE_CHARS : 0;
  return (start > 0 ? '… ' : '') + text.slice(start, start + SNIPPET_CHARS).replace(/\s+/g, ' ');
}

function cellText({ getValue }: { getValue: () => unknown }): ReactNode {
  const value = getValue();
  return value ? plain(String(value)) : <span className={classes.none}>–</span>;
}

function useColumnVisibility(panel: boolean): Record<string, boolean> {
  const narrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const wide = useMediaQuery('(min-width: 100em)', true, { getInitialValueInEffect: false });
  const middle = useMediaQuery('(min-width: 75em)', true, { getInitialValueInEffect: false });
  return useMemo(() => {
    const room = wide || (middle && !panel);
    return {
      host: !narrow,
      unit: room,
      source: !narrow && (wide || !panel),
      user: room,
      source_address: room,
      process: wide && !panel,
    };
  }, [narrow, middle, wide, panel]);
}
