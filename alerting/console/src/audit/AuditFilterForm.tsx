import { Trans, useLingui } from '@lingui/react/macro';
import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { AuditFilter } from '../api/queries';
import { isBackwards, TimeInputs } from '../text/TimeInputs';
import { inputOfMillis, millisOf, millisOfInput } from '../text/time';
import classes from './AuditPage.module.css';

/** What is typed, before it is asked for. */
interface Draft {
  who: string;
  action: string;
  subject: string;
  from: string;
  to: string;
}

function draftOf({ who = '', action = '', subject = '', from = '', to = '' }: AuditFilter): Draft {
  const input = (time: string) => {
    const millis = millisOf(time);
    return millis === null ? '' : inputOfMillis(millis);
  };
  return { who, action, subject, from: input(from), to: input(to) };
}

interface AuditFilterFormProps {
  filter: AuditFilter;
  onFilter: (filter: AuditFilter) => void;
}

/** Who did what to what, and when. The address has what is asked for, so this begins anew with each. */
export function AuditFilterForm({ filter, onFilter }: AuditFilterFormProps) {
  const { t } = useLingui();
  const [draft, setDraft] = useState(() => draftOf(filter));
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const [from, to] = [millisOfInput(draft.from), millisOfInput(draft.to)];
  const wrong = isBackwards(draft);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (wrong) return;
    const wanted = {
      who: draft.who.trim(),
      action: draft.action.trim(),
      subject: draft.subject.trim(),
      from: from === null ? '' : new Date(from).toISOString(),
      to: to === null ? '' : new Date(to).toISOString(),
    };
    onFilter(Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== '')));
  };
  return (
    <search>
      <form className={classes.filter} onSubmit={submit} aria-label={t`Filter`}>
        <TextInput
          size="xs"
          label={t`Who`}
          placeholder="an, token:…"
          value={draft.who}
          onChange={(event) => change({ who: event.currentTarget.value })}
        />
        <TextInput
          size="xs"
          label={t`What begins with`}
          placeholder="PATCH /api/v1/incidents"
          value={draft.action}
          onChange={(event) => change({ action: event.currentTarget.value })}
        />
        <TextInput
          size="xs"
          label={t`Target begins with`}
          placeholder="/api/v1/units/"
          value={draft.subject}
          onChange={(event) => change({ subject: event.currentTarget.value })}
        />
        <TimeInputs size="xs" typed={draft} onChange={change} wrong={wrong} />
        <div className={classes.buttons}>
          <Button type="submit" size="xs" disabled={wrong}>
            <Trans>Filter</Trans>
          </Button>
          {Object.keys(filter).length > 0 && (
            <Button size="xs" variant="default" onClick={() => onFilter({})}>
              <Trans>Show everything</Trans>
            </Button>
          )}
        </div>
      </form>
    </search>
  );
}
