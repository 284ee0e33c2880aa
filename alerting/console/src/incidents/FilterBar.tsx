import { Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect, UnstyledButton } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import type { IncidentFilter } from '../api/incidentFilter';
import { INCIDENT_STATES, SEVERITIES, VERDICTS } from '../api/types';
import { Icon } from '../app/icons';
import { useMe } from '../app/roles';
import { useUnitName } from '../app/UnitName';
import { failureOf, SEVERITY_WORDS, STATE_WORDS, VERDICT_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import { localTime } from '../text/time';
import { ViewMenu } from '../views/ViewMenu';
import { EXPORT_ROWS_MAX, exportIncidents } from './export';
import classes from './FilterBar.module.css';
import { GIVEN_VIEWS } from './givenViews';
import { TACTIC_WORDS } from './tactics';

const route = getRouteApi('/incidents');

/** What the list lets through, in words that can be taken away one by one. */
export function FilterBar({ filter }: { filter: IncidentFilter }) {
  const { t } = useLingui();
  const navigate = route.useNavigate();
  const { state = 'all', severity = '' } = filter;
  const change = (part: Partial<IncidentFilter>) =>
    void navigate({ search: Object.assign({}, filter, part) as IncidentFilter });
  const nameOf = useFilterNames();
  const me = useMe();
  const given = GIVEN_VIEWS.map((view) => ({ name: t(view.words), search: { ...view.filter(me) } }));
  const chips = (Object.keys(filter) as (keyof IncidentFilter)[]).filter(
    (name) => name !== 'state' && name !== 'sort',
  );
  const without = (name: keyof IncidentFilter) => {
    const { [name]: _, ...rest } = filter;
    void navigate({ search: rest });
  };
  return (
    <>
      <div className={classes.chips}>
        {chips.map((name) => {
          const words = nameOf(name, filter[name] ?? '');
          return (
            <UnstyledButton
              key={name}
              className={classes.chip}
              aria-label={t`Without the filter ${words}`}
              onClick={() => without(name)}
            >
              <bdi>{words}</bdi> <Icon name="close" size={12} />
            </UnstyledButton>
          );
        })}
      </div>
      <NativeSelect
        size="xs"
        aria-label={t`Severity`}
        value={severity}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          if (chosen) change({ severity: chosen });
          else without('severity');
        }}
        data={[
          { value: '', label: t`All severities` },
          ...(severity.includes(',') ? [{ value: severity, label: t`several severities` }] : []),
          ...SEVERITIES.map((each) => ({ value: each, label: t(SEVERITY_WORDS[each]) })),
        ]}
      />
      <NativeSelect
        size="xs"
        aria-label={t`State`}
        value={state}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          if (chosen !== 'all') change({ state: chosen });
          else without('state');
        }}
        data={[
          { value: 'all', label: t`All states` },
          { value: 'open', label: t`Open` },
          { value: 'overdue', label: t`Overdue` },
          ...(state.includes(',') ? [{ value: state, label: t`several states` }] : []),
          ...INCIDENT_STATES.map((each) => ({ value: each, label: t(STATE_WORDS[each]) })),
        ]}
      />
      <NativeSelect
        size="xs"
        aria-label={t`Order`}
        value={filter.sort ?? ''}
        onChange={(event) => {
          if (event.currentTarget.value === 'score') change({ sort: 'score' });
          else without('sort');
        }}
        data={[
          { value: '', label: t`Newest first` },
          { value: 'score', label: t`Most urgent first` },
        ]}
      />
      <ViewMenu screen="incidents" to="/incidents" search={{ ...filter }} given={given} />
      <Export filter={filter} />
    </>
  );
}

/** Reads a filter's name and value. */
function useFilterNames(): (name: keyof IncidentFilter, value: string) => string {
  const { t } = useLingui();
  const unitName = useUnitName();
  const tactic = (name: string) => {
    const word = TACTIC_WORDS[name];
    return word ? t(word) : plain(name);
  };
  return (name, value) => {
    const words: Record<keyof IncidentFilter, () => string> = {
      state: () => value,
      severity: () =>
        value
          .split(',')
          .map((each) => SEVERITIES.find((known) => known === each))
          .map((known) => (known ? t(SEVERITY_WORDS[known]) : '?'))
          .join(', '),
      verdict: () => {
        const verdict = VERDICTS.find((each) => each === value);
        return verdict ? t(VERDICT_WORDS[verdict]) : plain(value);
      },
      unit: () => t`unit ${unitName(value)}`,
      unit_below: () => t`unit ${unitName(value)} and those below it`,
      host: () => t`host ${plain(value)}`,
      rule: () => t`rule ${plain(value)}`,
      assignee: () => (value === '~none' ? t`assigned to nobody` : t`assigned to ${plain(value)}`),
      entity: () => plain(value.slice(value.indexOf(':') + 1)),
      tactic: () => value.split(',').map(tactic).join(', '),
      from: () => t`from ${localTime(value, Date.now())}`,
      to: () => t`to ${localTime(value, Date.now())}`,
      sort: () => t`Most urgent first`,
    };
    return words[name]();
  };
}

function Export({ filter }: { filter: IncidentFilter }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const save = useMutation(
    {
      mutationFn: () => exportIncidents(filter),
      onSuccess: (count) => {
        if (count < EXPORT_ROWS_MAX) return;
        notifications.show({
          color: 'yellow',
          title: t`Not all of it`,
          message: t`The file holds the newest ${EXPORT_ROWS_MAX} incidents.`,
        });
      },
      onError: (error) => {
        const failure = failureOf(error);
        notifications.show({ color: 'red', message: `${t(failure.what)} ${failure.detail}` });
      },
    },
    queries,
  );
  return (
    <Button size="xs" variant="default" loading={save.isPending} onClick={() => save.mutate()}>
      <Trans>Save as CSV</Trans>
    </Button>
  );
}
