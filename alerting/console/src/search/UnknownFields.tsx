import { Trans } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type EventSearch, eventFieldsQuery, eventHistogramQuery } from '../api/queries';
import { brief } from '../text/hostile';
import { queryName } from './language';
import { namesIn, nearNames, withName } from './nearNames';
import classes from './UnknownFields.module.css';

interface UnknownFieldsProps {
  searched: EventSearch;
  onLine: (line: string) => void;
}

/** Where a name of the line is that of no event: that, and the names that may have been meant. */
export function UnknownFields({ searched, onLine }: UnknownFieldsProps) {
  const names = useMemo(() => namesIn(searched.text), [searched.text]);
  const counted = useQueries({
    queries: names.map((name) => eventHistogramQuery({ ...searched, text: `${name}:*` })),
  });
  const unknown = names.filter((_, at) => {
    const { data, isPlaceholderData } = counted[at] ?? {};
    return data?.total === 0 && !isPlaceholderData;
  });
  const all = useQuery({ ...eventFieldsQuery({ ...searched, text: '' }), enabled: unknown.length > 0 });
  const known = useMemo(
    () => (all.data?.items ?? []).flatMap(({ name }) => queryName(name, 'list') ?? []),
    [all.data],
  );
  return unknown.map((name) => {
    const near = nearNames(name, known);
    return (
      <div key={name} className={classes.unknown} data-testid="unknown-field">
        <span>
          <Trans>
            No event in this time range has the field <code>{brief(name)}</code>.
          </Trans>
        </span>
        {near.length > 0 && (
          <span className={classes.near}>
            <Trans>Did you mean:</Trans>
            {near.map((each) => (
              <Button
                key={each}
                size="compact-xs"
                variant="default"
                onClick={() => onLine(withName(searched.text, name, each))}
              >
                {brief(each)}
              </Button>
            ))}
          </span>
        )}
      </div>
    );
  });
}
