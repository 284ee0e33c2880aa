import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import type { Alert, RuleText } from '../api/types';
import { Icon } from '../app/icons';
import { SeverityBadge } from '../app/parts';
import { useTitle } from '../app/titles';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { valueText } from '../text/values';
import classes from './AlertList.module.css';

interface AlertListProps {
  alerts: Alert[];
  total: number;
  rules: RuleText[];
  /** Asked for by who may; gets the alert's id. */
  onSuppress: ((id: string) => void) | undefined;
}

/** The alerts of an incident; of a correlation with its window and what it was grouped by. */
export function AlertList({ alerts, total, rules, onSuppress }: AlertListProps) {
  const { t } = useLingui();
  const titleOf = useTitle();
  const missing = total - alerts.length;
  return (
    <>
      <ul className={classes.list}>
        {alerts.map((alert) => (
          <li key={alert.id}>
            <div className={classes.head}>
              <SeverityBadge severity={alert.severity} />
              <span className={classes.title}>
                {titleOf(rules.find(({ id }) => id === alert.rule_id) ?? { title: alert.rule_title })}
              </span>
              {onSuppress && (
                <Button
                  className={classes.suppress ?? ''}
                  variant="subtle"
                  size="compact-xs"
                  leftSection={<Icon name="hide" size={14} />}
                  title={t`Suppress alerts like this (S)`}
                  onClick={() => onSuppress(alert.id)}
                >
                  <Trans>Suppress</Trans>
                </Button>
              )}
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
