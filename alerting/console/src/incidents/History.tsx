import { Trans, useLingui } from '@lingui/react/macro';
import { type HistoryEntry, INCIDENT_STATES, VERDICTS } from '../api/types';
import { STATE_WORDS, VERDICT_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { useClockName } from './Clocks';
import classes from './History.module.css';
import { mergeOf, reportOf, type Step, stepOf } from './history';

/** Who did what, in the order in which it was done. */
export function History({ entries }: { entries: HistoryEntry[] }) {
  if (entries.length === 0) {
    return (
      <p className={classes.none}>
        <Trans>Nothing was done yet.</Trans>
      </p>
    );
  }
  return (
    <ol className={classes.list}>
      {entries.map((entry, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: entries are only ever added at the end
        <li key={at}>
          <span className={classes.when}>
            <Time at={entry.at} />
          </span>
          <span>
            <b>
              <LogText text={entry.who} />
            </b>{' '}
            <What entry={entry} />
          </span>
        </li>
      ))}
    </ol>
  );
}

/** What was done, in the reader's words; as the server wrote it where it is of a kind not known here. */
function What({ entry }: { entry: HistoryEntry }) {
  const { t } = useLingui();
  const clockName = useClockName();
  const step = stepOf(entry);
  if (step) return <Changed kind={entry.kind ?? ''} step={step} />;
  const merge = mergeOf(entry);
  if (merge) {
    return merge.way === 'in' ? (
      <Trans>took in incident #{merge.number}</Trans>
    ) : (
      <Trans>merged it into incident #{merge.number}</Trans>
    );
  }
  const report = reportOf(entry);
  if (report) return <>{t`noted the report ${clockName(report.clock)}: ${plain(report.reference) || '–'}`}</>;
  if (entry.kind === 'comment') {
    return (
      <>
        <Trans>commented:</Trans> <LogText text={entry.what} />
      </>
    );
  }
  const opened = entry.kind === 'opened' && /^opened by the rule "([\s\S]*)"$/.exec(entry.what);
  if (opened) return <Trans>opened it by the rule “{plain(opened[1] ?? '')}”</Trans>;
  return <LogText text={entry.what} />;
}

function Changed({ kind, step: { from, to } }: { kind: string; step: Step }) {
  const { t } = useLingui();
  const stateWord = (name: string) => {
    const state = INCIDENT_STATES.find((each) => each === name);
    return state ? t(STATE_WORDS[state]) : plain(name);
  };
  const verdictWord = (name: string) => {
    const verdict = VERDICTS.find((each) => each === name);
    return verdict ? t(VERDICT_WORDS[verdict]) : plain(name);
  };
  switch (kind) {
    case 'state':
      return (
        <Trans>
          changed the state from {stateWord(from)} to {stateWord(to)}
        </Trans>
      );
    case 'unit':
      return to ? (
        <Trans>moved it to the unit {plain(to)}, which is above all offices whose alerts it holds</Trans>
      ) : (
        <Trans>moved it to the whole city: no unit is above all offices whose alerts it holds</Trans>
      );
    case 'assignee':
      return to ? <Trans>assigned it to {plain(to)}</Trans> : <Trans>took it from {plain(from)}</Trans>;
    case 'verdict':
      return to ? (
        <Trans>gave the verdict: {verdictWord(to)}</Trans>
      ) : (
        <Trans>took the verdict away: {verdictWord(from)}</Trans>
      );
    default:
      return to ? (
        <>
          <Trans>gave the reason:</Trans> <LogText text={to} />
        </>
      ) : (
        <Trans>took the reason away</Trans>
      );
  }
}
