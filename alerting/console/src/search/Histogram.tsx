import 'uplot/dist/uPlot.min.css';

import { useLingui } from '@lingui/react/macro';
import { useComputedColorScheme } from '@mantine/core';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { localTime } from '../text/time';
import type { Buckets } from './buckets';
import classes from './Histogram.module.css';

interface HistogramProps {
  buckets: Buckets;
  /** What is counted, in words. */
  label: string;
  /** Called with the stretch of time that was chosen; without it the bars are only to be looked at. */
  onChoose?: (fromMillis: number, toMillis: number) => void;
}

const HEIGHT_PX = 92;
const DRAG_PX_MIN = 5;
/** Round steps of counts. */
const INCREMENTS = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

/**
 * How many when. A stretch of time is chosen by drawing over it, a bar by a click; by keyboard the arrows go from
 * bar to bar, with Shift over several, and Enter chooses.
 */
export default function Histogram({ buckets, label, onChoose }: HistogramProps) {
  const { t, i18n } = useLingui();
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  const choose = useRef(onChoose);
  choose.current = onChoose;
  const last = buckets.starts.length - 1;
  const [reach, setReach] = useState({ anchor: last, at: last });

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of theme changes the colours that are read here
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(
      options(element, buckets, choose, (count) => i18n.number(count)),
      [buckets.starts, buckets.counts],
      element,
    );
    plot.current = made;
    const end = buckets.starts.length - 1;
    setReach({ anchor: end, at: end });
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT_PX }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [buckets, scheme, i18n.locale]);

  const here = Math.min(reach.at, last);
  const [from, to] = stretchOf(buckets, Math.min(reach.anchor, last), here);
  const moved = (event: KeyboardEvent) => {
    const at = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: last }[event.key];
    if (event.key === 'Enter') choose.current?.(from, to);
    else if (at === undefined) return;
    else {
      const next = Math.max(0, Math.min(last, at));
      const anchor = event.shiftKey ? reach.anchor : next;
      setReach({ anchor, at: next });
      if (plot.current) showStretch(plot.current, stretchOf(buckets, anchor, next));
    }
    event.preventDefault();
  };
  const shown = (millis: number) => localTime(new Date(millis).toISOString(), Date.now());
  const counted = buckets.counts
    .slice(Math.min(reach.anchor, here), Math.max(reach.anchor, here) + 1)
    .reduce((sum, count) => sum + count, 0);
  if (!onChoose) return <div ref={host} className={classes.histogram} role="img" aria-label={label} />;
  return (
    <div
      ref={host}
      className={classes.histogram}
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={here}
      aria-valuetext={t`${shown(from)} to ${shown(to)}: ${counted}`}
      title={t`Draw over it, or choose a bar, to look closer`}
      onKeyDown={moved}
    />
  );
}

/** From the beginning of one bar to the end of another, milliseconds. */
function stretchOf({ starts, widthMillis }: Buckets, one: number, other: number): [number, number] {
  const from = (starts[Math.min(one, other)] ?? 0) * 1000;
  return [from, (starts[Math.max(one, other)] ?? 0) * 1000 + widthMillis];
}

function showStretch(plot: uPlot, [from, to]: [number, number]): void {
  const left = Math.max(0, plot.valToPos(from / 1000, 'x'));
  const right = Math.min(plot.over.clientWidth, plot.valToPos(to / 1000, 'x'));
  plot.setSelect({ left, width: right - left, top: 0, height: plot.over.clientHeight }, false);
}

type Choose = { current: HistogramProps['onChoose'] };

/** A label so near to the beginning would stand on the counts beside it. */
const LABEL_PX_MIN = 14;

function options(
  element: HTMLElement,
  buckets: Buckets,
  choose: Choose,
  counted: (count: number) => string,
): uPlot.Options {
  const { widthMillis } = buckets;
  const lastWidth = buckets.counts.at(-1) ? widthMillis / 1000 : 0;
  let drawn = false;
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--cw-ink-soft'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: color('--cw-line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT_PX,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: choose.current !== undefined, y: false, setScale: false, dist: DRAG_PX_MIN },
    },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Asia/Ho_Chi_Minh'),
    // The last bar has its width, too, where there is one.
    scales: {
      x: { time: true, range: (_plot, min, max) => [min, max + lastWidth] },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max)] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        gap: 2,
        grid: { show: false },
        values: (plot, splits) =>
          labels(splits, widthMillis).map((label, at) =>
            plot.valToPos(splits[at] ?? 0, 'x') < LABEL_PX_MIN ? '' : label,
          ),
      },
      {
        ...axis,
        size: 44,
        gap: 4,
        incrs: INCREMENTS,
        values: (_plot, splits) => splits.map(counted),
      },
    ],
    series: [
      {},
      {
        fill: color('--cw-low'),
        stroke: color('--cw-low'),
        width: 0,
        points: { show: false },
        ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.85, 40], align: 1 }) } : {}),
      },
    ],
    hooks: {
      ready: [
        (plot) => {
          plot.over.addEventListener('mousedown', () => {
            drawn = false;
          });
          plot.over.addEventListener('click', ({ offsetX }) => {
            const seconds = plot.posToVal(offsetX, 'x');
            const at = buckets.starts.findLastIndex((start) => start <= seconds);
            if (!drawn && at >= 0) choose.current?.(...stretchOf(buckets, at, at));
          });
        },
      ],
      setSelect: [
        (plot) => {
          if (plot.select.width < DRAG_PX_MIN) return;
          drawn = true;
          const from = plot.posToVal(plot.select.left, 'x') * 1000;
          const to = plot.posToVal(plot.select.left + plot.select.width, 'x') * 1000;
          choose.current?.(Math.floor(from), Math.ceil(to));
        },
      ],
    },
  };
}

const DAY_MS = 86_400_000;

/** Dates for slices of days, clock times else; always 24 hours. */
function labels(splits: number[], widthMillis: number): string[] {
  let dateBefore = '';
  return splits.map((seconds) => {
    const [date = '', clock = ''] = localTime(new Date(seconds * 1000).toISOString(), Date.now()).split(' ');
    if (widthMillis >= DAY_MS / 4) {
      const label = date === dateBefore ? '' : date;
      dateBefore = date;
      return label;
    }
    if (clock === '00:00:00') return date;
    return widthMillis >= 15_000 ? clock.slice(0, 5) : clock;
  });
}
