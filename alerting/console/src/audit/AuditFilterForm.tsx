import { Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { AuditFilter } from '../api/queries';
import { plain } from '../text/hostile';
import { isBackwards, isUnreadable, TimeInputs } from '../text/TimeInputs';
import { inputOfMillis, millisOf, millisOfInput } from '../text/time';
import classes from './AuditPage.module.css';
import { ACTIONS, actionWords } from './actions';

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
  const wrong = isBackwards(draft) || isUnreadable(draft);
  const named = (action: string) => {
    const words = actionWords(action);
    return { value: action, label: words ? t(words) : plain(action) };
  };
  // An address may name the beginning of several, or one of a newer server.
  const actions = ACTIONS.includes(draft.action) || !draft.action ? ACTIONS : [draft.action, ...ACTIONS];
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
        <NativeSelect
          size="xs"
          label={t`What`}
          value={draft.action}
          onChange={(event) => change({ action: event.currentTarget.value })}
          data={[{ value: '', label: t`everything` }, ...actions.map(named)]}
        />
        <TextInput
          size="xs"
          label={t`Requested address begins with`}
          placeholder="/api/v1/units/"
          value={draft.subject}
          onChange={(event) => change({ subject: event.currentTarget.value })}
        />
        <TimeInputs size="xs" typed={draft} onChange={change} />
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
