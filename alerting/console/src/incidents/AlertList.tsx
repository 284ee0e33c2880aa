import { Plural, Trans } from '@lingui/react/macro';
import type { Alert } from '../api/types';
import { SeverityBadge } from '../app/parts';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { valueText } from '../text/values';
import classes from './AlertList.module.css';

/** The alerts of an incident; of a correlation with its window and what it was grouped by. */
export function AlertList({ alerts, total }: { alerts: Alert[]; total: number }) {
  const missing = total - alerts.length;
  return (
    <>
      <ul className={classes.list}>
        {alerts.map((alert) => (
          <li key={alert.id}>
            <div className={classes.head}>
              <SeverityBadge severity={alert.severity} />
              <span className={classes.title}>{plain(alert.rule_title)}</span>
            </div>
            <div className={classes.facts}>
              {alert.window ? (
                <span>
                  <Time at={alert.window.start} /> – <Time at={alert.window.end} />
                </span>
              ) : (
                <Time at={alert.event_time} />
              )}
              <span>
                <Plural value={alert.event_count} one="# event" other="# events" />
              </span>
              {alert.group.map((field) => (
                <span key={field.name}>
                  {plain(field.name)} = <bdi>{plain(valueText(field.value))}</bdi>
                </span>
              ))}
            </div>
          </li>
        ))}
      </ul>
      {missing > 0 && (
        <p className={classes.missing}>
          <Trans>{missing} more alerts of the same kind are counted and not listed.</Trans>
        </p>
      )}
    </>
  );
}
