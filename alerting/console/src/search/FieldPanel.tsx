import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { ActionIcon, TextInput, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { type EventSearch, eventFieldsQuery } from '../api/queries';
import type { EventField } from '../api/types';
import { Icon } from '../app/icons';
import { Loading } from '../app/parts';
import { folded } from '../text/folded';
import { brief, LINK_CHARS_MAX } from '../text/hostile';
import classes from './FieldPanel.module.css';
import { queryName, type Sense } from './language';

interface FieldPanelProps {
  searched: EventSearch;
  /** The field whose values are shown. */
  open: string | undefined;
  onOpen: (name: string | undefined) => void;
  onCondition: (name: string, value: string, sense: Sense) => void;
}

/** The fields of what was found, each with its most frequent values. */
export function FieldPanel({ searched, open, onOpen, onCondition }: FieldPanelProps) {
  const { t } = useLingui();
  const { data, isPending, isPlaceholderData, isError } = useQuery(eventFieldsQuery(searched));
  const [filter, setFilter] = useState('');
  // Who looks at a line that cannot be read is told beside it.
  if (isError) {
    return (
      <aside className={classes.fields} aria-label={t`Fields`}>
        <p className={classes.soft}>
          <Trans>The search failed, so there are no fields to look at.</Trans>
        </p>
      </aside>
    );
  }
  const fields = data?.items ?? [];
  // Each event has its unit and its format, so the most that a field has is all that were looked at.
  const all = fields.reduce((most, { events }) => Math.max(most, events), 0);
  const shown = fields.filter(({ name }) => folded(name).includes(folded(filter.trim())) || name === open);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <aside className={classes.fields} aria-label={t`Fields`} aria-busy={isPlaceholderData} tabIndex={0}>
      <h2 className={classes.title}>
        <Trans>Fields</Trans>
      </h2>
      {isPending && <Loading />}
      {data && (
        <>
          <p className={classes.soft}>
            {all > 0 ? (
              <Plural value={all} one="of the newest event" other="of the newest # events" />
            ) : (
              <Trans>Nothing was found, so there are no fields to look at.</Trans>
            )}
          </p>
          {all > 0 && (
            <TextInput
              size="xs"
              type="search"
              aria-label={t`Filter the list of fields`}
              placeholder={t`Filter the list of fields`}
              value={filter}
              onChange={(event) => setFilter(event.currentTarget.value)}
            />
          )}
          <ul className={classes.list}>
            {shown.map((field) => (
              <FieldItem
                key={field.name}
                field={field}
                all={all}
                open={field.name === open}
                onOpen={() => onOpen(field.name === open ? undefined : field.name)}
                onCondition={onCondition}
              />
            ))}
          </ul>
        </>
      )}
    </aside>
  );
}

interface FieldItemProps {
  field: EventField;
  all: number;
  open: boolean;
  onOpen: () => void;
  onCondition: FieldPanelProps['onCondition'];
}

function FieldItem({ field, all, open, onOpen, onCondition }: FieldItemProps) {
  const { i18n } = useLingui();
  const share = i18n.number(all > 0 ? field.events / all : 0, { style: 'percent' });
  return (
    <li>
      <UnstyledButton className={classes.name} aria-expanded={open} onClick={onOpen} data-testid="field">
        <span className={classes.words}>{brief(field.name)}</span>
        <span className={classes.count}>{share}</span>
      </UnstyledButton>
      {open && <TopValues field={field} onCondition={onCondition} />}
    </li>
  );
}

function TopValues({ field, onCondition }: Pick<FieldItemProps, 'field' | 'onCondition'>) {
  const { t, i18n } = useLingui();
  const name = queryName(field.name, 'list');
  const more = field.distinct - field.top.length;
  return (
    <>
      <ul className={classes.values} aria-label={t`Values of ${brief(field.name)}`}>
        {field.top.map(({ value, events, entity }) => {
          const words = `${brief(field.name)}: ${brief(value)}`;
          return (
            <li key={value} className={classes.value} data-testid="field-value">
              <div className={classes.bar} style={{ width: `${(100 * events) / field.events}%` }} />
              <span className={classes.text} title={brief(value)}>
                {brief(value)}
              </span>
              <span className={classes.count}>{i18n.number(events)}</span>
              {name !== null && (
                <>
                  <Act
                    label={t`Only events with ${words}`}
                    icon="plus"
                    onAct={() => onCondition(name, value, 'include')}
                  />
                  <Act
                    label={t`No events with ${words}`}
                    icon="minus"
                    onAct={() => onCondition(name, value, 'exclude')}
                  />
                </>
              )}
              {field.entity && entity && entity.length <= LINK_CHARS_MAX && (
                <ActionIcon
                  size={24}
                  variant="subtle"
                  color="gray"
                  aria-label={t`All about ${brief(entity)}`}
                  title={t`All about ${brief(entity)}`}
                  renderRoot={(props) => (
                    <Link {...props} to="/entity" search={{ kind: field.entity ?? '', value: entity }} />
                  )}
                >
                  <Icon name="link" size={14} />
                </ActionIcon>
              )}
            </li>
          );
        })}
      </ul>
      {more > 0 && (
        <p className={classes.soft}>
          <Plural value={more} one="and # more value" other="and # more values" />
        </p>
      )}
    </>
  );
}

function Act({ label, icon, onAct }: { label: string; icon: 'plus' | 'minus'; onAct: () => void }) {
  return (
    <ActionIcon size={24} variant="subtle" color="gray" aria-label={label} title={label} onClick={onAct}>
      <Icon name={icon} size={14} />
    </ActionIcon>
  );
}
