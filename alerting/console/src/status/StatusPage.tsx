import { Trans, useLingui } from '@lingui/react/macro';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { statusQuery } from '../api/queries';
import type { FieldValue, SystemStatus } from '../api/types';
import { Failed, Loading } from '../app/parts';
import { plain } from '../text/hostile';
import { Agents, Fill, Overview, Sources, Stages } from './HealthParts';
import { healthOf } from './health';
import classes from './StatusPage.module.css';

/** Whether all is well; below it, part by part, what `citywatch status` says. */
export function StatusPage() {
  const { t } = useLingui();
  useDocumentTitle(`${t`Status`} · Citywatch`);
  const { data, error, isPending, refetch } = useQuery(statusQuery);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <div className={classes.page} role="region" tabIndex={0} aria-labelledby="status-title">
      <h1 id="status-title" className={classes.title}>
        <Trans>System status</Trans>
      </h1>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && (
        <>
          <HealthOf status={data} />
          <details className={classes.all}>
            <summary>
              <Trans>Everything that the server tells, as “citywatch status” does</Trans>
            </summary>
            <div className={classes.parts}>
              {partsOf(data, t`Overview`).map(([name, value]) => (
                <section key={name} className={classes.part}>
                  <h2 className={classes.name}>{words(name)}</h2>
                  <Value value={value} depth={0} />
                </section>
              ))}
            </div>
          </details>
        </>
      )}
    </div>
  );
}

function HealthOf({ status }: { status: SystemStatus }) {
  const health = useMemo(() => healthOf(status), [status]);
  return (
    <div className={classes.health}>
      <Overview health={health} />
      <Stages health={health} />
      <Fill health={health} />
      <Agents health={health} />
      <Sources health={health} />
    </div>
  );
}

/** Single values in one part, each group in its own. */
function partsOf(status: SystemStatus, overview: string): [string, FieldValue][] {
  const entries = Object.entries(status);
  const single = entries.filter(([, value]) => value === null || typeof value !== 'object');
  const groups = entries.filter(([, value]) => value !== null && typeof value === 'object');
  return single.length > 0 ? [[overview, Object.fromEntries(single)], ...groups] : groups;
}

const DEPTH_MAX = 6;

function Value({ value, depth }: { value: FieldValue; depth: number }) {
  if (value === null || typeof value !== 'object' || depth >= DEPTH_MAX) return <Scalar value={value} />;
  if (Array.isArray(value) && value.length > 0) {
    return (
      <ul className={classes.items}>
        {value.map((item, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the server's list has no other names
          <li key={at}>
            <Value value={item} depth={depth + 1} />
          </li>
        ))}
      </ul>
    );
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return <span className={classes.none}>–</span>;
  return (
    <dl className={classes.list}>
      {entries.map(([name, item]) => (
        <div key={name} className={classes.row}>
          <dt>{words(name)}</dt>
          <dd>
            <Value value={item} depth={depth + 1} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Scalar({ value }: { value: FieldValue }) {
  const { i18n } = useLingui();
  if (typeof value === 'number') return <>{i18n.number(value, { maximumFractionDigits: 2 })}</>;
  if (value === null || value === '') return <span className={classes.none}>–</span>;
  return <>{plain(typeof value === 'object' ? JSON.stringify(value) : String(value))}</>;
}

/** `events_per_second` as words. */
function words(name: string): string {
  return plain(name.replace(/_/g, ' '));
}
