import { useLingui } from '@lingui/react/macro';
import { Input } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type RefObject, useEffect, useId, useMemo, useRef, useState } from 'react';
import { type EventSearch, eventFieldsQuery } from '../api/queries';
import { Icon } from '../app/icons';
import options from '../app/Options.module.css';
import { plain } from '../text/hostile';
import { type Suggestion, suggestionsFor } from './completion';
import { queryName, spotAt } from './language';
import classes from './QueryInput.module.css';

interface QueryInputProps {
  input: RefObject<HTMLInputElement | null>;
  value: string;
  onChange: (value: string) => void;
  /** Whose fields are suggested: what was found last. */
  searched: EventSearch;
  /** Says what is wrong with the line, where something is. */
  faultId: string | undefined;
}

/** The search line: names, values and operators are completed while one types. */
export function QueryInput({ input, value, onChange, searched, faultId }: QueryInputProps) {
  const { t, i18n } = useLingui();
  const id = useId();
  // Where the caret stands, while something may be suggested there.
  const [caret, setCaret] = useState<number | null>(null);
  const [at, setAt] = useState(-1);
  const list = useRef<HTMLDivElement>(null);
  const suggestions = useSuggestions(value, caret, searched);
  const open = suggestions.length > 0;
  const here = Math.min(at, suggestions.length - 1);
  useEffect(() => {
    list.current?.children[here]?.scrollIntoView({ block: 'nearest' });
  }, [here]);

  const suggest = (place: number | null) => {
    setCaret(place);
    setAt(-1);
  };
  const take = (suggestion: Suggestion) => {
    const spot = caret === null ? null : spotAt(value, caret);
    if (!spot) return;
    const before = value.slice(0, spot.start) + suggestion.insert;
    onChange(before + value.slice(spot.end).replace(/^\s+/, ''));
    suggest(suggestion.kind === 'field' ? before.length : null);
    // Once the input holds it.
    requestAnimationFrame(() => input.current?.setSelectionRange(before.length, before.length));
  };
  const pressed = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const chosen = suggestions[here];
    if (step && open)
      setAt((here + step + suggestions.length + (here < 0 && step < 0 ? 1 : 0)) % suggestions.length);
    else if (event.key === 'ArrowDown' || (event.key === ' ' && event.ctrlKey)) {
      suggest(event.currentTarget.selectionStart);
    } else if (event.key === 'Enter' && open && chosen) take(chosen);
    else if (event.key === 'Escape' && open) suggest(null);
    else {
      if (event.key === 'Enter') suggest(null);
      return;
    }
    event.preventDefault();
  };

  return (
    <div className={classes.place}>
      <Input
        ref={input}
        type="text"
        // Its own would not know what describes it.
        withAria={false}
        aria-invalid={faultId !== undefined}
        role="combobox"
        aria-label={t`Text to look for`}
        aria-expanded={open}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={suggestions[here] ? `${id}-${here}` : undefined}
        aria-describedby={faultId}
        error={faultId !== undefined}
        placeholder={t`Words, "a phrase", user:root, src_ip:10.0.0.0/8, and, or, not`}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        leftSection={<Icon name="search" size={16} />}
        classNames={{ input: classes.input ?? '' }}
        value={value}
        onChange={(event) => {
          onChange(event.currentTarget.value);
          suggest(event.currentTarget.selectionStart);
        }}
        onKeyDown={pressed}
        onClick={() => suggest(null)}
        onBlur={() => suggest(null)}
      />
      <div
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label={t`What can be written here`}
        className={classes.list}
        hidden={!open}
      >
        {suggestions.map((suggestion, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input above has the focus and the keys
          <div
            key={`${suggestion.kind} ${suggestion.insert}`}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === here}
            className={options.option}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(suggestion)}
          >
            <span className={classes.text}>{plain(suggestion.text)}</span>
            <span className={options.soft}>
              {suggestion.events !== undefined
                ? i18n.number(suggestion.events)
                : suggestion.kind === 'operator'
                  ? t`operator`
                  : t`field`}
            </span>
          </div>
        ))}
      </div>
    </div>
  );
}

function useSuggestions(value: string, caret: number | null, searched: EventSearch): Suggestion[] {
  const spot = useMemo(() => (caret === null ? null : spotAt(value, caret)), [value, caret]);
  const name = spot?.kind === 'value' ? spot.name : null;
  const found = useQuery({ ...eventFieldsQuery(searched), enabled: spot !== null });
  // Values of a field among all events of the time, and not only among those that were found.
  const ofName = useQuery({
    ...eventFieldsQuery({ ...searched, text: `${name}:*` }),
    enabled: name !== null,
  });
  const fieldsOfName = ofName.isPlaceholderData ? undefined : ofName.data;
  return useMemo(() => {
    const field = fieldsOfName?.items.find((each) =>
      [each.name, queryName(each.name, 'list')].includes(name),
    );
    return suggestionsFor(spot, found.data?.items ?? [], field);
  }, [spot, name, found.data, fieldsOfName]);
}
