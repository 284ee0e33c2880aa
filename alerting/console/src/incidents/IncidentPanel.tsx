import { Trans, useLingui } from '@lingui/react/macro';
import { Button, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { incidentQuery } from '../api/queries';
import type { IncidentDetail } from '../api/types';
import { Icon } from '../app/icons';
import { Failed, Loading, SeverityBadge, StateBadge, Tag, VerdictBadge } from '../app/parts';
import { useRole } from '../app/roles';
import { useTitle } from '../app/titles';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import { NextClock } from './Clocks';
import { Entities } from './Entities';
import { EventCount } from './EventCount';
import classes from './IncidentPanel.module.css';
import { MergedInto } from './MergedInto';
import { SimilarIncidents } from './SimilarIncidents';
import { Story } from './Story';
import { Timeline } from './Timeline';
import { TriageButtons } from './TriageButtons';
import type { Triage } from './useTriage';

interface IncidentPanelProps {
  id: string;
  triage: Triage;
  onSuppress: (id: string) => void;
  onClose: () => void;
}

/** An incident beside the list: enough for a verdict, without leaving the place. */
export function IncidentPanel({ id, triage, onSuppress, onClose }: IncidentPanelProps) {
  const { t } = useLingui();
  const { data, error, isPending, refetch } = useQuery(incidentQuery(id));
  return (
    <div className={classes.panel} data-testid="incident-panel">
      <div className={classes.ways}>
        <Link to="/incidents/$id" params={{ id }} className={classes.whole}>
          <Trans>Whole page</Trans> <kbd className={classes.key}>O</kbd>
        </Link>
        <UnstyledButton
          aria-label={t`Close`}
          title={t`Close (Esc)`}
          className={classes.close}
          onClick={onClose}
        >
          <Icon name="close" />
        </UnstyledButton>
      </div>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && <Loaded incident={data} triage={triage} onSuppress={onSuppress} />}
    </div>
  );
}

interface LoadedProps {
  incident: IncidentDetail;
  triage: Triage;
  onSuppress: (id: string) => void;
}

function Loaded({ incident, triage, onSuppress }: LoadedProps) {
  const { t } = useLingui();
  const titleOf = useTitle();
  const mayDecide = useRole('analyst');
  const into = incident.merged_into;
  const maySuppress = useRole('lead') && !into && incident.alerts.length > 0;
  const [event, setEvent] = useState<string>();
  const incidents = useMemo(() => [incident], [incident]);
  return (
    <>
      <div className={classes.badges}>
        <SeverityBadge severity={incident.severity} />
        <StateBadge state={incident.state} />
        {incident.verdict && <VerdictBadge verdict={incident.verdict} />}
        {!into && <NextClock clocks={incident.clocks} />}
      </div>
      <h2 className={classes.title}>
        #{incident.number} {titleOf(incident)}
      </h2>
      <p className={classes.soft}>
        <Trans>
          detected <Time at={incident.created_at} />
        </Trans>
        {' · '}
        {incident.assignee ? (
          <Trans>Assigned to {plain(incident.assignee)}</Trans>
        ) : (
          <Trans>Assigned to nobody</Trans>
        )}
      </p>
      {into && <MergedInto id={into} />}
      {mayDecide && !into && <TriageButtons incidents={incidents} triage={triage} label={t`This incident`} />}
      {maySuppress && (
        <Button
          className={classes.suppress ?? ''}
          size="compact-sm"
          variant="default"
          leftSection={<Icon name="hide" size={14} />}
          aria-keyshortcuts="s"
          onClick={() => onSuppress(incident.id)}
        >
          <Trans>Suppress alerts like this</Trans> <kbd className={classes.key}>S</kbd>
        </Button>
      )}
      {!into && <Story incident={incident} />}
      <Entities incident={incident} />
      {incident.tags.length > 0 && (
        <div className={classes.tags}>
          {incident.tags.map((tag) => (
            <Tag key={tag} tag={tag} />
          ))}
        </div>
      )}
      {(!into || incident.events.length > 0) && (
        <section aria-labelledby="panel-events">
          <h3 id="panel-events" className={classes.heading}>
            <Trans>What happened</Trans>{' '}
            <span className={classes.soft}>
              <EventCount incident={incident} />
            </span>
          </h3>
          <Timeline incident={incident} shownFirst={5} open={event} onOpen={setEvent} />
        </section>
      )}
      {!into && <SimilarIncidents incident={incident} className={classes.similar ?? ''} />}
    </>
  );
}
