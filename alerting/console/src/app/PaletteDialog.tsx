import { Trans, useLingui } from '@lingui/react/macro';
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react';
import { incidentByNumberQuery } from '../api/queries';
import { holdsWords } from '../text/folded';
import { Dialog } from './Dialog';
import { shownKey, usePageKeys } from './keys';
import options from './Options.module.css';
import classes from './Palette.module.css';
import { ADMINISTRATION_PAGES, PAGES } from './pages';
import { useAllowed } from './roles';
import { useTitle } from './titles';

interface Command {
  id: string;
  words: string;
  /** What kind of thing it is. */
  kind: string;
  key?: string;
  act: () => void;
}

/** The palette itself, which comes when it is first asked for. */
export default function PaletteDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const commands = useCommands(text);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const here = Math.min(at, commands.length - 1);
  useEffect(() => {
    list.current?.children[here]?.scrollIntoView({ block: 'nearest' });
  }, [here]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    // After the dialog has given the focus back to where the command belongs.
    setTimeout(command.act);
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(commands.length - 1, here + 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(0, here - 1));
    else if (event.key === 'Enter') run(commands[here]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title={t`Go to…`} onClose={onClose}>
      <TextInput
        data-autofocus
        role="combobox"
        aria-label={t`A page, the number of an incident, or what to do`}
        placeholder={t`A page, the number of an incident, or what to do`}
        aria-expanded={commands.length > 0}
        aria-controls={id}
        aria-autocomplete="list"
        aria-activedescendant={commands[here] ? `${id}-${here}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={pressed}
      />
      <div ref={list} id={id} role="listbox" aria-label={t`What can be chosen`} className={classes.list}>
        {commands.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input above has the focus and the keys
          <div
            key={command.id}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === here}
            className={options.option}
            onClick={() => run(command)}
          >
            <span>{command.words}</span>
            <span className={options.soft}>
              {command.kind} {command.key && <kbd className={classes.key}>{shownKey(command.key)}</kbd>}
            </span>
          </div>
        ))}
      </div>
      {commands.length === 0 && (
        <p className={options.soft} role="status">
          <Trans>There is nothing like that.</Trans>
        </p>
      )}
    </Dialog>
  );
}

/** Keys that are of no use in a list. */
const NOT_LISTED = new Set(['j', 'k', '?']);

function useCommands(text: string): Command[] {
  const { t } = useLingui();
  const navigate = useNavigate();
  const keys = usePageKeys();
  const pages = useAllowed([...PAGES, ...ADMINISTRATION_PAGES]);
  const titleOf = useTitle();
  const number = /^\s*#?(\d{1,9})\s*$/.exec(text)?.[1];
  const { data: incident } = useQuery({
    ...incidentByNumberQuery(Number(number ?? 0)),
    enabled: number !== undefined,
  });
  return useMemo(() => {
    const all: Command[] = [
      ...keys
        .filter(({ key, waits }) => !waits && !NOT_LISTED.has(key))
        .map(({ key, words, act }) => ({ id: `key ${key}`, words, kind: t`action`, key, act })),
      ...pages.map(({ to, search = {}, words }) => ({
        id: to,
        words: t(words),
        kind: t`page`,
        act: () => void navigate({ to, search }),
      })),
    ];
    const found = all.filter(({ words }) => holdsWords(words, text.trim()));
    if (!incident) return found;
    const { id } = incident;
    return [
      {
        id,
        words: `#${incident.number} ${titleOf(incident)}`,
        kind: t`incident`,
        act: () => void navigate({ to: '/incidents/$id', params: { id } }),
      },
      ...found,
    ];
  }, [keys, pages, text, incident, navigate, t, titleOf]);
}
