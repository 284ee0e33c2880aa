/** Small pieces that several pages show. */
import { useLingui } from '@lingui/react/macro';
import { Button, Center, Loader } from '@mantine/core';
import type { ReactNode } from 'react';
import type { IncidentState, Severity, Verdict } from '../api/types';
import { useTacticName } from '../incidents/tactics';
import classes from './parts.module.css';
import { failureOf, SEVERITY_WORDS, STATE_WORDS, VERDICT_WORDS } from './words';

export function SeverityBadge({ severity }: { severity: Severity }) {
  const { t } = useLingui();
  const word = SEVERITY_WORDS[severity];
  return (
    <span className={classes.severity} data-severity={severity}>
      {word ? t(word) : severity}
    </span>
  );
}

export function StateBadge({ state }: { state: IncidentState }) {
  const { t } = useLingui();
  const word = STATE_WORDS[state];
  return (
    <span className={classes.state} data-state={state}>
      {word ? t(word) : state}
    </span>
  );
}

export function VerdictBadge({ verdict }: { verdict: Verdict }) {
  const { t } = useLingui();
  const word = VERDICT_WORDS[verdict];
  return (
    <span className={classes.verdict} data-verdict={verdict}>
      {word ? t(word) : verdict}
    </span>
  );
}

/** A rule's tag: techniques the way ATT&CK writes them, tactics in the reader's language. */
export function Tag({ tag }: { tag: string }) {
  const tacticName = useTacticName();
  const technique = /^attack\.(t\d{4}(?:\.\d{3})?)$/i.exec(tag);
  const words = technique?.[1]?.toUpperCase() ?? tacticName(tag.replace(/^attack\./, ''));
  return <span className={classes.tag}>{words}</span>;
}

export function Loading() {
  const { t } = useLingui();
  return (
    <Center p="xl" role="status">
      <Loader size="sm" aria-hidden="true" />
      <span className="cw-only-heard">{t`Loading`}</span>
    </Center>
  );
}

/** What failed, what the server said, and a way to go on. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useLingui();
  const failure = failureOf(error);
  return (
    <div className={classes.failed} role="alert">
      <p>{t(failure.what)}</p>
      {failure.detail && <p className={classes.detail}>{failure.detail}</p>}
      {retry && (
        <Button size="xs" variant="default" onClick={retry}>
          {t`Try again`}
        </Button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: ReactNode; children?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <div className={classes.emptyTitle}>{title}</div>
      {children}
    </div>
  );
}
