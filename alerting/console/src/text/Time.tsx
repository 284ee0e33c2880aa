import { useEffect, useState } from 'react';
import classes from './Time.module.css';
import { localTime, type Precision, utcTime } from './time';

/** A time in Indochina Time; UTC with every digit on hover. */
export function Time({ at, precision = 'seconds' }: { at: string; precision?: Precision }) {
  return (
    <time dateTime={at} title={utcTime(at)} className={classes.time}>
      {localTime(at, Date.now(), precision)}
    </time>
  );
}

/** The clock, read again each `everyMs`. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
