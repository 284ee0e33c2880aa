import 'uplot/dist/uPlot.min.css';

import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { localTime } from '../text/time';
import type { Buckets } from './buckets';
import classes from './Histogram.module.css';

interface HistogramProps {
  buckets: Buckets;
  /** What is counted, in words. */
  label: string;
  /** Called with the stretch of time that was drawn over it. */
  onChoose: (fromMillis: number, toMillis: number) => void;
}

const HEIGHT_PX = 92;
const DRAG_PX_MIN = 5;

/** How many events when; draw over it to look closer. */
export default function Histogram({ buckets, label, onChoose }: HistogramProps) {
  const host = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme('light', { getInitialValueInEffect: false });
  const choose = useRef(onChoose);
  choose.current = onChoose;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of theme changes the colours that are read here
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const plot = new uPlot(
      options(element, buckets.widthMillis, choose),
      [buckets.starts, buckets.counts],
      element,
    );
    const observer = new ResizeObserver(() =>
      plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [buckets, scheme]);

  return <div ref={host} className={classes.histogram} role="img" aria-label={label} />;
}

type Choose = { current: (fromMillis: number, toMillis: number) => void };

function options(element: HTMLElement, widthMillis: number, choose: Choose): uPlot.Options {
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
      drag: { x: true, y: false, setScale: false, dist: DRAG_PX_MIN },
    },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Asia/Ho_Chi_Minh'),
    scales: { x: { time: true }, y: { range: (_plot, _min, max) => [0, Math.max(1, max)] } },
    axes: [
      {
        ...axis,
        size: 22,
        gap: 2,
        grid: { show: false },
        values: (_plot, splits) => labels(splits, widthMillis),
      },
      { ...axis, size: 40, gap: 4, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 100_000] },
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
      setSelect: [
        (plot) => {
          if (plot.select.width < DRAG_PX_MIN) return;
          const from = plot.posToVal(plot.select.left, 'x') * 1000;
          const to = plot.posToVal(plot.select.left + plot.select.width, 'x') * 1000;
          choose.current(Math.floor(from), Math.ceil(to));
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
    return widthMillis >= 15_000 ? clock.slice(0, 5) : clock;
  });
}
