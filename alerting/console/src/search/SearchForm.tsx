import { Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect } from '@mantine/core';
import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { EventSearch } from '../api/queries';
import type { EventsSearch } from '../app/router';
import { useDraft } from '../app/useDraft';
import { TimeInputs } from '../text/TimeInputs';
import { inputOfMillis, millisOfInput } from '../text/time';
import { faultOf, QueryFault } from './QueryFault';
import { QueryInput } from './QueryInput';
import { RANGE_WORDS, RANGES, type TimeRange } from './range';
import classes from './SearchForm.module.css';

interface SearchFormProps {
  text: string;
  range: TimeRange;
  busy: boolean;
  /** What the last search ended with, where it failed. */
  error: unknown;
  /** What was searched last, as the server was asked. */
  searched: EventSearch;
  onSearch: (search: EventsSearch) => void;
  /** Stands behind the button. */
  children?: ReactNode;
}

/** What to look for and when. */
export function SearchForm({ text, range, busy, error, searched, onSearch, children }: SearchFormProps) {
  const { t } = useLingui();
  const [draft, setDraft] = useDraft('search', text);
  const [custom, setCustom] = useState<{ from: string; to: string } | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const faultId = useId();
  useEffect(() => {
    if (range.name !== null) return setCustom(null);
    setCustom({ from: inputOfMillis(range.fromMillis), to: inputOfMillis(range.toMillis) });
  }, [range]);
  useSlash(input);

  const from = custom && millisOfInput(custom.from);
  const to = custom && millisOfInput(custom.to);
  const wrong = custom !== null && (from === null || to === null || from >= to);

  function timesOf(): EventsSearch {
    if (custom && from !== null && to !== null) {
      return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    }
    return { range: range.name ?? '24h' };
  }

  const fault = faultOf(error, text);
  function goToFault() {
    if (!fault) return;
    setDraft(text);
    input.current?.focus();
    // Once the input holds the line that was searched.
    requestAnimationFrame(() => input.current?.setSelectionRange(fault.start, fault.end));
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    if (!wrong) onSearch({ q: draft.trim(), ...timesOf() });
  }

  function chooseRange(chosen: string) {
    if (chosen === 'custom') {
      setCustom({ from: inputOfMillis(range.fromMillis), to: inputOfMillis(range.toMillis) });
    } else {
      setCustom(null);
      onSearch({ q: draft.trim(), range: chosen });
    }
  }

  return (
    <search>
      <form className={classes.form} onSubmit={submit}>
        <QueryInput
          input={input}
          value={draft}
          onChange={setDraft}
          searched={searched}
          faultId={fault ? faultId : undefined}
        />
        <NativeSelect
          aria-label={t`Time range`}
          value={custom ? 'custom' : (range.name ?? 'custom')}
          onChange={(event) => chooseRange(event.currentTarget.value)}
          data={[
            ...RANGES.map((name) => ({ value: name, label: t(RANGE_WORDS[name]) })),
            { value: 'custom', label: t`From … to …` },
          ]}
        />
        <Button type="submit" loading={busy} disabled={wrong}>
          <Trans>Search</Trans>
        </Button>
        {children}
        {fault && <QueryFault id={faultId} line={text} fault={fault} onGo={goToFault} />}
        {custom && (
          <div className={classes.custom}>
            <TimeInputs typed={custom} onChange={(part) => setCustom({ ...custom, ...part })} />
          </div>
        )}
      </form>
    </search>
  );
}

/** `/` goes to the input, unless something is being typed. */
function useSlash(input: { current: HTMLInputElement | null }) {
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.closest('input, textarea, select');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, [input]);
}
