import { Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { Icon } from '../app/icons';
import type { EventsSearch } from '../app/router';
import { inputOfMillis, millisOfInput, ZONE_LABEL } from '../text/time';
import { RANGE_WORDS, RANGES, type TimeRange } from './range';
import classes from './SearchForm.module.css';

interface SearchFormProps {
  text: string;
  range: TimeRange;
  busy: boolean;
  onSearch: (search: EventsSearch) => void;
}

/** What to look for and when. */
export function SearchForm({ text, range, busy, onSearch }: SearchFormProps) {
  const { t } = useLingui();
  const [draft, setDraft] = useState(text);
  const [custom, setCustom] = useState<{ from: string; to: string } | null>(null);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setDraft(text), [text]);
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
        <TextInput
          ref={input}
          className={classes.text}
          aria-label={t`Text to look for`}
          placeholder={t`Text to look for, with or without diacritics; "several words" in quotes`}
          type="search"
          spellCheck={false}
          autoComplete="off"
          leftSection={<Icon name="search" size={16} />}
          value={draft}
          onChange={(event) => setDraft(event.currentTarget.value)}
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
        {custom && (
          <div className={classes.custom}>
            <TextInput
              type="datetime-local"
              step={1}
              label={t`From (${ZONE_LABEL})`}
              value={custom.from}
              onChange={(event) => setCustom({ ...custom, from: event.currentTarget.value })}
            />
            <TextInput
              type="datetime-local"
              step={1}
              label={t`To (${ZONE_LABEL})`}
              value={custom.to}
              error={wrong && t`The end must lie after the beginning`}
              onChange={(event) => setCustom({ ...custom, to: event.currentTarget.value })}
            />
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
