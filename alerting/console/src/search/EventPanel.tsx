import { Trans, useLingui } from '@lingui/react/macro';
import { ActionIcon, Button, TextInput } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import { eventQuery } from '../api/queries';
import type { EventDetail } from '../api/types';
import { Icon } from '../app/icons';
import { Failed, Loading } from '../app/parts';
import type { EventsSearch } from '../app/router';
import { UnitName } from '../app/UnitName';
import { ENTITY_WORDS } from '../app/words';
import { FieldTable } from '../text/FieldTable';
import { brief, LINK_CHARS_MAX } from '../text/hostile';
import { LogText } from '../text/LogText';
import { Time } from '../text/Time';
import { valueText } from '../text/values';
import classes from './EventPanel.module.css';
import type { Sense } from './language';
import { Neighbours } from './Neighbours';

interface EventPanelProps {
  id: string;
  pattern: RegExp | null;
  /** The address that the links to events keep. */
  search: EventsSearch;
  onSearch: (value: string) => void;
  onCondition: (name: string, value: string, sense: Sense) => void;
  onClose: () => void;
}

/** One event: its fields, and the record as it was written. */
export function EventPanel({ id, onClose, ...shown }: EventPanelProps) {
  const { t } = useLingui();
  const { data, error, isPending, refetch } = useQuery(eventQuery(id));
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented) onClose();
    };
    const element = panel.current?.closest('aside');
    element?.addEventListener('keydown', key);
    return () => element?.removeEventListener('keydown', key);
  }, [onClose]);

  return (
    <section ref={panel} className={classes.panel} aria-labelledby="event-title" data-testid="event-panel">
      <div className={classes.head}>
        <h2 id="event-title" className={classes.title}>
          {data ? <Time at={data.event_time} precision="milliseconds" /> : <Trans>Event</Trans>}
        </h2>
        <ActionIcon variant="subtle" color="gray" aria-label={t`Close`} title={t`Close`} onClick={onClose}>
          <Icon name="close" />
        </ActionIcon>
      </div>
      {isPending && <Loading />}
      {error && <Failed error={error} retry={() => void refetch()} />}
      {data && <Loaded event={data} {...shown} />}
    </section>
  );
}

interface LoadedProps extends Omit<EventPanelProps, 'id' | 'onClose'> {
  event: EventDetail;
}

function Loaded({ event, pattern, search, onSearch, onCondition }: LoadedProps) {
  const { t } = useLingui();
  const [filter, setFilter] = useState('');
  const raw = useRef<HTMLDivElement>(null);
  // What was looked for may stand far down in it.
  useEffect(() => {
    const mark = raw.current?.querySelector('mark')?.getBoundingClientRect();
    const box = raw.current?.getBoundingClientRect();
    if (!event.raw || !mark || !box || mark.bottom <= box.bottom) return;
    raw.current?.scrollBy({ top: mark.top - box.top - box.height / 3 });
  }, [event.raw]);
  const fields = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    if (!wanted) return event.fields;
    return event.fields.filter((field) =>
      `${field.name} ${valueText(field.value)}`.toLowerCase().includes(wanted),
    );
  }, [event.fields, filter]);
  return (
    <>
      <p className={classes.where}>
        <b>{brief(event.host)}</b> · <UnitName id={event.unit} /> · {brief(event.format)}
        <br />
        <Trans>
          Received <Time at={event.received_at} precision="milliseconds" />
        </Trans>
      </p>
      <EntityLinks event={event} />
      {event.problems && event.problems.length > 0 && (
        <p className={classes.problems}>
          <Trans>Not read in full:</Trans> <LogText text={event.problems.join('; ')} />
        </p>
      )}
      <h3 className={classes.part}>
        <Trans>As it was written</Trans> <CopyButton text={event.raw ?? ''} />
      </h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <div ref={raw} className={classes.raw} role="group" tabIndex={0} aria-label={t`As it was written`}>
        <LogText text={event.raw ?? ''} pattern={pattern} />
      </div>
      <h3 className={classes.part}>
        <Trans>Fields</Trans> <span className={classes.soft}>{event.fields.length}</span>
      </h3>
      <TextInput
        size="xs"
        mb={6}
        type="search"
        aria-label={t`Filter the fields`}
        placeholder={t`Filter the fields`}
        value={filter}
        onChange={(change) => setFilter(change.currentTarget.value)}
      />
      <FieldTable
        label={t`Fields`}
        fields={fields}
        pattern={pattern}
        onSearch={onSearch}
        onCondition={onCondition}
      />
      <Neighbours event={event} search={search} />
    </>
  );
}

/** Whom and what the event names, with the way to all that is known of each. */
function EntityLinks({ event }: { event: EventDetail }) {
  const { t } = useLingui();
  if (event.entities.length === 0) return null;
  return (
    <ul className={classes.entities} aria-label={t`Named in it`}>
      {event.entities.map(({ kind, value }) => {
        const word = ENTITY_WORDS[kind];
        return (
          <li key={`${kind} ${value}`}>
            <span className={classes.soft}>{word ? t(word) : brief(kind)}</span>{' '}
            {value.length > LINK_CHARS_MAX ? (
              <bdi>{brief(value)}</bdi>
            ) : (
              <Link to="/entity" search={{ kind, value }}>
                <bdi>{brief(value)}</bdi>
              </Link>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function CopyButton({ text }: { text: string }) {
  const clipboard = useClipboard({ timeout: 1_500 });
  return (
    <Button
      variant="subtle"
      size="compact-xs"
      leftSection={<Icon name={clipboard.copied ? 'check' : 'copy'} size={14} />}
      onClick={() => clipboard.copy(text)}
    >
      {clipboard.copied ? <Trans>Copied</Trans> : <Trans>Copy</Trans>}
    </Button>
  );
}
