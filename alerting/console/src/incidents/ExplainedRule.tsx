import { Trans } from '@lingui/react/macro';
import { useQuery } from '@tanstack/react-query';
import { explanationsQuery } from '../api/queries';
import type { IncidentDetail, NamedValue, RuleText } from '../api/types';
import { Time } from '../text/Time';
import { RuleCard } from './RuleCard';
import classes from './RuleCard.module.css';

interface ExplainedRuleProps {
  incident: IncidentDetail;
  rule: RuleText;
  /** What matched in its events. */
  matched: NamedValue[];
  /** The event that is open. */
  open: string | undefined;
}

/** A rule of an incident with why it matched: judged on the event that is open, or else on the first. */
export function ExplainedRule({ incident, rule, matched, open }: ExplainedRuleProps) {
  const first = useQuery(explanationsQuery(incident.id));
  const isOfOpen = incident.events.some(({ id, rule_ids }) => id === open && rule_ids.includes(rule.id));
  const opened = useQuery({ ...explanationsQuery(incident.id, open), enabled: isOfOpen });
  const ofRule = ({ rule_id }: { rule_id: string }) => rule_id === rule.id;
  const explained = (isOfOpen && opened.data?.items.find(ofRule)) || first.data?.items.find(ofRule);
  const event = incident.events.find(({ id }) => id === explained?.event_id);
  return (
    <RuleCard rule={rule} condition={explained?.root} matched={matched}>
      {event && (
        <p className={classes.of}>
          <Trans>
            Judged on the event of <Time at={event.event_time} precision="milliseconds" />
          </Trans>
        </p>
      )}
    </RuleCard>
  );
}
