import { msg } from '@lingui/core/macro';
import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { call } from '../api/client';
import { incidentQuery } from '../api/queries';
import type { Incident, IncidentClock, IncidentDetail } from '../api/types';
import { useLive } from '../app/liveContext';
import { Failed } from '../app/parts';
import { useRole } from '../app/roles';
import { useDraft } from '../app/useDraft';
import { plain } from '../text/hostile';
import { Time, useNow } from '../text/Time';
import { localTime } from '../text/time';
import classes from './Clocks.module.css';
import { nextOf, spanOf, stateOf } from './clocks';

const WORDS = {
  acknowledge: msg({ message: 'Acknowledge', context: 'clock' }),
  resolve: msg({ message: 'Resolve', context: 'clock' }),
  'report:first': msg`First report`,
  'report:full': msg`Full report`,
};

const REPORT = 'report:';

/** Reads a clock's name; one from the configuration keeps its own. */
export function useClockName(): (name: string) => string {
  const { t } = useLingui();
  return (name) => {
    const word = name in WORDS ? WORDS[name as keyof typeof WORDS] : undefined;
    if (word) return t(word);
    const report = plain(name.slice(REPORT.length));
    return name.startsWith(REPORT) ? t`Report: ${report}` : plain(name);
  };
}

interface LeftProps {
  clock: IncidentClock;
  now: number;
  /** Where there is little room, its colour and its title say the rest. */
  room: 'much' | 'little';
}

/** How much is left, or for how long it is over; for who hears it in a sentence. */
function Left({ clock, now, room }: LeftProps) {
  const { i18n } = useLingui();
  const ms = Date.parse(clock.due_at) - now;
  const { value, unit } = spanOf(ms);
  if (value === 0) {
    return ms > 0 ? <Trans>under 1 min left</Trans> : <Trans>just overdue</Trans>;
  }
  // Lingui keeps the formats: making one for each row took a tenth of the list's time.
  const span = i18n.number(value, { style: 'unit', unit, unitDisplay: 'short' });
  if (ms > 0) return <Trans>{span} left</Trans>;
  return room === 'much' ? <Trans>{span} overdue</Trans> : <Trans>{span} over</Trans>;
}

/** The clock that matters next, in a word; nothing where none waits. */
export function NextClock({ clocks }: { clocks: IncidentClock[] }) {
  const { t } = useLingui();
  const now = useNow(30_000);
  const nameOf = useClockName();
  const next = nextOf(clocks);
  if (!next) return null;
  const name = nameOf(next.name);
  const due = localTime(next.due_at, now);
  return (
    <span
      className={classes.next}
      data-state={stateOf(next, now)}
      data-testid="next-clock"
      title={t`${name}: due ${due}`}
    >
      {name}: <Left clock={next} now={now} room="little" />
    </span>
  );
}

/** All clocks of an incident, and where a report is noted. */
export function Clocks({ incident }: { incident: IncidentDetail }) {
  const now = useNow(30_000);
  const nameOf = useClockName();
  const mayReport = useRole('analyst');
  return (
    <ul className={classes.list}>
      {incident.clocks.map((clock) => (
        <li key={clock.name} data-state={stateOf(clock, now)} data-testid="clock">
          <div className={classes.row}>
            <b>{nameOf(clock.name)}</b>
            <span className={classes.what}>
              {clock.met_at ? (
                <>
                  {stateOf(clock, now) === 'met' ? <Trans>done in time</Trans> : <Trans>done late</Trans>}{' '}
                  <Time at={clock.met_at} />
                </>
              ) : (
                <Left clock={clock} now={now} room="much" />
              )}
            </span>
            <span className={classes.due}>
              <Trans>
                due <Time at={clock.due_at} />
              </Trans>
            </span>
          </div>
          {clock.reference && (
            <p className={classes.reference}>
              <Trans>Reference: {plain(clock.reference)}</Trans>
            </p>
          )}
          {mayReport && !clock.met_at && clock.name.startsWith(REPORT) && (
            <ReportForm incident={incident} clock={clock.name.slice(REPORT.length)} />
          )}
        </li>
      ))}
    </ul>
  );
}

/** Notes that a report was handed in: that stops its clock. */
function ReportForm({ incident, clock }: { incident: IncidentDetail; clock: string }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const live = useLive();
  const [reference, setReference] = useDraft(`report.${incident.id}.${clock}`, '');
  const [open, setOpen] = useState(reference !== '');
  const report = useMutation({
    mutationFn: () =>
      call<Incident>(`/incidents/${encodeURIComponent(incident.id)}/reports`, {
        method: 'POST',
        body: { clock, reference },
      }),
    onSuccess: (changed) => {
      setReference('');
      queries.setQueryData(
        incidentQuery(incident.id).queryKey,
        (before) => before && { ...before, ...changed },
      );
      live.observe(changed);
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: incidentQuery(incident.id).queryKey }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    report.mutate();
  };
  if (!open) {
    return (
      <Button variant="subtle" size="compact-xs" onClick={() => setOpen(true)}>
        <Trans>The report was handed in</Trans>
      </Button>
    );
  }
  return (
    <form className={classes.form} onSubmit={submit}>
      <TextInput
        size="xs"
        autoFocus
        maxLength={300}
        aria-label={t`Number or place of the report`}
        placeholder={t`Number or place of the report`}
        value={reference}
        onChange={(event) => setReference(event.currentTarget.value)}
      />
      <Button type="submit" size="xs" loading={report.isPending}>
        <Trans>Note it</Trans>
      </Button>
      {report.error && <Failed error={report.error} />}
    </form>
  );
}
