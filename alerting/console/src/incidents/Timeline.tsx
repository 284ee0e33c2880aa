import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { EvidenceEvent, IncidentDetail } from '../api/types';
import { useTitle } from '../app/titles';
import { FieldTable } from '../text/FieldTable';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { patternOf } from '../text/marks';
import { Time } from '../text/Time';
import { matchedTexts } from '../text/values';
import { type Run, runsOf } from './runs';
import classes from './Timeline.module.css';

interface TimelineProps {
  incident: IncidentDetail;
  /** The event whose fields are all shown. */
  open: string | undefined;
  onOpen: (id: string | undefined) => void;
  /** How many events, those like them aside, are shown before more are asked for. */
  shownFirst?: number;
}

/** The events in the order in which they happened, with what made the rules match marked. */
export function Timeline({ incident, open, onOpen, shownFirst = 25 }: TimelineProps) {
  const [limit, setLimit] = useState(shownFirst);
  const events = useMemo(
    () => [...incident.events].sort((a, b) => Date.parse(a.event_time) - Date.parse(b.event_time)),
    [incident.events],
  );
  const titleOf = useTitle();
  const titles = useMemo(
    () => new Map(incident.rules.map((rule) => [rule.id, titleOf(rule)])),
    [incident.rules, titleOf],
  );
  const runs = useMemo(() => runsOf(events), [events]);
  const openAt = open ? runs.findIndex((run) => holds(run, open)) : -1;
  const shown = runs.slice(0, Math.max(limit, openAt + 1));
  const left = runs.slice(shown.length).reduce((sum, { more }) => sum + 1 + more.length, 0);
  const notKept = incident.event_count - events.length;
  return (
    <>
      <ol className={classes.timeline}>
        {shown.map((run) => (
          <TimelineRun key={run.first.id} run={run} titles={titles} open={open} onOpen={onOpen} />
        ))}
      </ol>
      {left > 0 && (
        <Button variant="default" size="xs" onClick={() => setLimit(limit + 100)}>
          <Trans>Show more events ({left})</Trans>
        </Button>
      )}
      {notKept > 0 && (
        <p className={classes.note}>
          {incident.event_count_exact ? (
            <Trans>{notKept} more events are counted; the search shows them all.</Trans>
          ) : (
            <Trans>At most {notKept} more events are counted; the search shows them all.</Trans>
          )}
        </p>
      )}
    </>
  );
}

function holds({ first, more }: Run, id: string): boolean {
  return first.id === id || more.some((event) => event.id === id);
}

/** Fewer are not worth putting away. */
const RUN_MIN = 2;

interface TimelineRunProps {
  run: Run;
  titles: ReadonlyMap<string, string>;
  open: string | undefined;
  onOpen: (id: string | undefined) => void;
}

/** An event, and those like it that follow it once they are asked for. */
function TimelineRun({ run: { first, more }, titles, open, onOpen }: TimelineRunProps) {
  const openIsLater = open !== undefined && more.some(({ id }) => id === open);
  const [whole, setWhole] = useState(openIsLater || more.length < RUN_MIN);
  const last = more.at(-1);
  return (
    <>
      {(whole ? [first, ...more] : [first]).map((event) => (
        <TimelineEvent
          key={event.id}
          event={event}
          titles={titles}
          open={event.id === open}
          onToggle={() => onOpen(event.id === open ? undefined : event.id)}
        />
      ))}
      {!whole && last && (
        <li className={classes.like} data-testid="timeline-like">
          <Button variant="subtle" size="compact-xs" onClick={() => setWhole(true)}>
            <Plural value={more.length} one="# more like this" other="# more like this" />
          </Button>{' '}
          <span className={classes.soft}>
            <Trans>
              until <Time at={last.event_time} />
            </Trans>
          </span>
        </li>
      )}
    </>
  );
}

interface TimelineEventProps {
  event: EvidenceEvent;
  titles: ReadonlyMap<string, string>;
  open: boolean;
  onToggle: () => void;
}

function TimelineEvent({ event, titles, open, onToggle }: TimelineEventProps) {
  const { t } = useLingui();
  const pattern = useMemo(() => patternOf(matchedTexts(event.matched)), [event.matched]);
  const item = useRef<HTMLLIElement>(null);
  const openAtFirst = useRef(open);
  useEffect(() => {
    if (openAtFirst.current) item.current?.scrollIntoView({ block: 'center' });
  }, []);
  return (
    <li ref={item} className={classes.event} data-testid="timeline-event" data-open={open || undefined}>
      <div className={classes.head}>
        <Time at={event.event_time} precision="milliseconds" />
        <span className={classes.soft}>{plain(event.host)}</span>
        <span className={classes.soft}>{plain(event.format)}</span>
        {event.rule_ids.map((id) => (
          <span key={id} className={classes.rule}>
            {plain(titles.get(id) ?? id)}
          </span>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also for who has no mouse */}
      <div className={classes.raw} role="group" tabIndex={0} aria-label={t`As it was written`}>
        <LogText text={event.raw} pattern={pattern} />
      </div>
      <FieldTable
        label={t`Fields that matched`}
        fields={open ? event.fields : event.matched}
        matched={event.matched}
      />
      <Button variant="subtle" size="compact-xs" aria-expanded={open} onClick={onToggle}>
        {open ? <Trans>Only what matched</Trans> : <Trans>All {event.fields.length} fields</Trans>}
      </Button>
    </li>
  );
}
