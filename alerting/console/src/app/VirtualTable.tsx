import { useLingui } from '@lingui/react/macro';
import type { ColumnDef, RowData } from '@tanstack/react-table';
import { columnVisibilityFeature, FlexRender, tableFeatures, useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type FocusEvent, type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react';
import { useKey } from './keys';
import classes from './VirtualTable.module.css';

export const rowFeatures = tableFeatures({ columnVisibilityFeature });
export type RowFeatures = typeof rowFeatures;

interface VirtualTableProps<T extends RowData> {
  className: string;
  label: string;
  // biome-ignore lint/suspicious/noExplicitAny: TanStack Table's own type for columns of several value types
  columns: ColumnDef<RowFeatures, T, any>[];
  rows: T[];
  idOf: (row: T) => string;
  /** Columns that are left out, by id. */
  hidden: Record<string, boolean>;
  /** `data-` attributes of a row, for its looks. */
  marksOf: (row: T) => Record<`data-${string}`, string | undefined>;
  /** Where the reader was. */
  startAt: string | undefined;
  /** Called at once when the reader comes to a row. */
  onStand?: (id: string) => void;
  /** Called a moment after the reader has come to a row: who passes by is not reported. */
  onReach?: (id: string) => void;
  footer: ReactNode;
}

const ROW_PX = 45;
/** The head of the table stands above its rows. */
const HEAD_PX = 40;
const REACH_MS = 200;

/** Which row stood at the top of the list, and how far into it. */
interface Place {
  href: string;
  id: string;
  into: number;
}

const PLACE_KEY = 'citywatch.list-place';

function keepPlace(place: Place | null): void {
  if (place) sessionStorage.setItem(PLACE_KEY, JSON.stringify(place));
}

/** The place that was kept when this very page was left, once. */
function takePlace(): Place | null {
  const kept = sessionStorage.getItem(PLACE_KEY);
  sessionStorage.removeItem(PLACE_KEY);
  try {
    const place = JSON.parse(kept ?? 'null') as Place | null;
    return place?.href === window.location.href ? place : null;
  } catch {
    return null;
  }
}

/**
 * A table that keeps only the rows on screen in the page. One element of each row, a link with
 * `data-row` (its index) and `data-id`, takes the focus: arrow keys or j and k move it, Enter opens.
 */
export function VirtualTable<T extends RowData>(props: VirtualTableProps<T>) {
  const {
    className,
    label,
    columns,
    rows: data,
    idOf,
    hidden,
    marksOf,
    startAt,
    onStand,
    onReach,
    footer,
  } = props;
  const { t } = useLingui();
  const scroller = useRef<HTMLDivElement>(null);
  const table = useTable({
    features: rowFeatures,
    columns,
    data,
    getRowId: idOf,
    state: { columnVisibility: hidden },
  });
  const rows = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 6,
    scrollPaddingStart: HEAD_PX,
  });
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);

  // The row that gets the focus with the next frame: keys may come faster than frames.
  const heading = useRef<number>(undefined);
  const focusRow = (index: number) => {
    heading.current = index;
    const id = rows[index]?.id;
    if (id) onStand?.(id);
    virtual.scrollToIndex(index, { align: 'auto' });
    requestAnimationFrame(() => {
      if (heading.current !== index) return;
      heading.current = undefined;
      scroller.current
        ?.querySelector<HTMLAnchorElement>(`[data-row="${index}"]`)
        ?.focus({ preventScroll: true });
    });
  };

  // Back, or a reload: the reader stands where they stood.
  const returned = useRef(false);
  useEffect(() => {
    if (returned.current) return;
    returned.current = true;
    const index = startAt ? data.findIndex((row) => idOf(row) === startAt) : -1;
    const place = takePlace();
    const top = place ? data.findIndex((row) => idOf(row) === place.id) : -1;
    if (place && top >= 0) {
      virtual.scrollToIndex(top, { align: 'start' });
      requestAnimationFrame(() => {
        // Above the first row there is no room for what the head covers.
        scroller.current?.scrollBy({ top: top === 0 ? place.into - HEAD_PX : place.into });
        const row = scroller.current?.querySelector<HTMLAnchorElement>(`[data-row="${index}"]`);
        if (row && document.activeElement === document.body) row.focus({ preventScroll: true });
      });
    } else if (index >= 0) focusRow(index);
  });

  const shownPlace = useRef<() => Place | null>(() => null);
  shownPlace.current = () => {
    const offset = (virtual.scrollOffset ?? 0) + HEAD_PX;
    const item = virtual.getVirtualItemForOffset(offset);
    const id = item && rows[item.index]?.id;
    return id ? { href: window.location.href, id, into: offset - item.start } : null;
  };
  useEffect(() => {
    const element = scroller.current;
    const keep = () => keepPlace(shownPlace.current());
    window.addEventListener('pagehide', keep);
    // What comes below the list, or above it, must not cover the row on which the reader stands.
    const observer = new ResizeObserver(() => {
      const row = document.activeElement;
      if (row?.hasAttribute('data-row') && element?.contains(row)) row.scrollIntoView({ block: 'nearest' });
    });
    if (element) observer.observe(element);
    return () => {
      window.removeEventListener('pagehide', keep);
      observer.disconnect();
    };
  }, []);

  const reachTimer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(reachTimer.current), []);
  const reached = (event: FocusEvent) => {
    const id = event.target.getAttribute('data-id');
    if (!id) return;
    clearTimeout(reachTimer.current);
    onStand?.(id);
    if (onReach) reachTimer.current = setTimeout(() => onReach(id), REACH_MS);
  };

  const move = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const here = heading.current ?? Number((event.target as HTMLElement).getAttribute('data-row') ?? -1);
    const to = {
      ArrowDown: here + 1,
      ArrowUp: here - 1,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (to === undefined || here < 0) return;
    event.preventDefault();
    focusRow(Math.max(0, Math.min(rows.length - 1, to)));
  };

  // From anywhere on the page: the panel beside the table, or nowhere at all.
  const step = (by: number) => {
    const focused = document.activeElement?.closest('tr')?.querySelector('[data-row]');
    const stood = startAt ? data.findIndex((row) => idOf(row) === startAt) : -1;
    const here = heading.current ?? (focused ? Number(focused.getAttribute('data-row')) : stood);
    focusRow(Math.max(0, Math.min(rows.length - 1, here + by)));
  };
  useKey('j', () => step(1), t`Next row`);
  useKey('k', () => step(-1), t`Previous row`);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys reach it from the links inside
    <div
      ref={scroller}
      className={classes.scroller}
      data-scroller
      onKeyDown={move}
      onFocus={reached}
      // Who opens a row at once must not be brought back to the list by its address.
      onClickCapture={() => clearTimeout(reachTimer.current)}
    >
      <table className={`${classes.table} ${className}`} aria-label={label} aria-rowcount={rows.length + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => (
                <th key={header.id} scope="col" data-column={header.column.id}>
                  <FlexRender header={header} />
                </th>
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          {before > 0 && <Gap height={before} />}
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <tr
                key={row.id}
                ref={virtual.measureElement}
                data-index={item.index}
                aria-rowindex={item.index + 2}
                {...marksOf(row.original)}
                className={classes.row}
              >
                {row.getVisibleCells().map((cell) => (
                  <td key={cell.id} data-column={cell.column.id}>
                    <FlexRender cell={cell} />
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <Gap height={after} />}
        </tbody>
      </table>
      <div className={classes.footer}>{footer}</div>
    </div>
  );
}

/** Stands for the rows that are not in the page. */
function Gap({ height }: { height: number }) {
  // biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: a row by its tag only, holding nothing
  return <tr role="presentation" style={{ height }} />;
}
