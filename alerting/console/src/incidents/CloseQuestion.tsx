import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { type Incident, VERDICTS, type Verdict } from '../api/types';
import { VERDICT_WORDS } from '../app/words';
import classes from './CloseQuestion.module.css';
import { VERDICT_KEYS } from './triage';

interface CloseQuestionProps {
  /** What is to be closed. */
  incidents: Incident[];
  onVerdict: (verdict: Verdict) => void;
  onLeave: () => void;
}

/** Asks for the verdict that a closed incident needs; each answer closes. Its keys are bound where it is asked. */
export function CloseQuestion({ incidents, onVerdict, onLeave }: CloseQuestionProps) {
  const { t } = useLingui();
  const question = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The button that was pressed is gone; from a row of the list focus stays where it is.
    if (document.activeElement === document.body) question.current?.focus();
  }, []);
  return (
    <div
      ref={question}
      className={classes.question}
      role="group"
      tabIndex={-1}
      aria-label={t`Verdict for closing`}
      data-testid="close-question"
    >
      <span role="status">
        <Plural
          value={incidents.filter(({ verdict }) => !verdict).length}
          one="What did it turn out to be? A closed incident needs a verdict."
          other="What did the # without a verdict turn out to be?"
        />
      </span>
      {VERDICTS.map((verdict) => (
        <Button
          key={verdict}
          size="compact-sm"
          aria-keyshortcuts={VERDICT_KEYS[verdict]}
          onClick={() => onVerdict(verdict)}
        >
          {t(VERDICT_WORDS[verdict])} <kbd className={classes.key}>{VERDICT_KEYS[verdict].toUpperCase()}</kbd>
        </Button>
      ))}
      <Button size="compact-sm" variant="default" aria-keyshortcuts="Escape" onClick={onLeave}>
        <Trans>Do not close</Trans> <kbd className={classes.key}>Esc</kbd>
      </Button>
    </div>
  );
}
