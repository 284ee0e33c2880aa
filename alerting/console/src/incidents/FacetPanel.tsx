import { Trans, useLingui } from '@lingui/react/macro';
import { UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { facetsQuery } from '../api/queries';
import { FACETS, type FacetCount, type FacetName, INCIDENT_STATES, SEVERITIES } from '../api/types';
import { SEVERITY_WORDS, STATE_WORDS } from '../app/words';
import { plain } from '../text/hostile';
import classes from './FacetPanel.module.css';
import { type FacetsProps, toggled } from './facets';
import { TACTIC_WORDS } from './tactics';

const route = getRouteApi('/incidents');

/** What the list can be narrowed by, with the number that each choice would show. */
export function FacetPanel({ filter, wanted }: FacetsProps) {
  const { t } = useLingui();
  const navigate = route.useNavigate();
  const { data, isError } = useQuery({ ...facetsQuery(filter), enabled: wanted });
  const titles: Record<FacetName, string> = {
    severity: t`Severity`,
    state: t`State`,
    unit: t`Unit`,
    assignee: t`Assigned to`,
    rule: t`Rule`,
    tactic: t`Tactic`,
  };
  if (isError && !data) return null;
  const choose = (name: FacetName, value: string) => {
    const { [name]: before, ...rest } = filter;
    // Those that stand for several are taken for what they stand for.
    const chosen = toggled(before === 'overdue' || before === 'open' ? undefined : before, value);
    void navigate({ search: chosen ? { ...rest, [name]: chosen } : rest });
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <aside className={classes.facets} aria-label={t`Filters`} tabIndex={0}>
      {data?.total === 0 && (
        <p className={classes.none}>
          {Object.keys(filter).length > 0 ? (
            <Trans>No incident fits the filters, so there is nothing to narrow the list by.</Trans>
          ) : (
            <Trans>What the list can be narrowed by appears here with the first incident.</Trans>
          )}
        </p>
      )}
      {/* Its place is there from the start: the rows beside it must not move. */}
      {data &&
        FACETS.map((name) => (
          <Facet
            key={name}
            name={name}
            title={titles[name]}
            counts={data[name]}
            chosen={filter[name]}
            onChoose={(value) => choose(name, value)}
          />
        ))}
    </aside>
  );
}

interface FacetProps {
  name: FacetName;
  title: string;
  counts: FacetCount[];
  chosen: string | undefined;
  onChoose: (value: string) => void;
}

const SHOWN_FIRST = 6;

function Facet({ name, title, counts, chosen, onChoose }: FacetProps) {
  const { i18n } = useLingui();
  const [all, setAll] = useState(false);
  const nameOf = useFacetWords(name);
  const values = chosen?.split(',') ?? [];
  // What is chosen stays to be let go, also where nothing has it any more.
  const gone = values
    .filter(
      (value) => value !== 'open' && value !== 'overdue' && !counts.some((each) => each.value === value),
    )
    .map((value) => ({ value, label: '', label_vi: '', count: 0 }));
  const listed = [...counts, ...gone];
  if (listed.length === 0) return null;
  const more = listed.length - SHOWN_FIRST;
  return (
    <fieldset className={classes.facet} data-testid={`facet-${name}`}>
      <legend className={classes.title}>{title}</legend>
      {listed.slice(0, all ? undefined : SHOWN_FIRST).map((each) => (
        <label key={each.value} className={classes.value}>
          <input
            type="checkbox"
            checked={values.includes(each.value)}
            onChange={() => onChoose(each.value)}
          />
          <span className={classes.words}>{nameOf(each)}</span>
          <span className={classes.count}>{i18n.number(each.count)}</span>
        </label>
      ))}
      {more > 0 && (
        <UnstyledButton className={classes.more} aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? <Trans>Fewer</Trans> : <Trans>{more} more</Trans>}
        </UnstyledButton>
      )}
    </fieldset>
  );
}

/** Reads a value of a facet. */
function useFacetWords(name: FacetName): (count: FacetCount) => string {
  const { t, i18n } = useLingui();
  return ({ value, label, label_vi }) => {
    if (name === 'severity') {
      const severity = SEVERITIES.find((each) => each === value);
      return severity ? t(SEVERITY_WORDS[severity]) : plain(value);
    }
    if (name === 'state') {
      const state = INCIDENT_STATES.find((each) => each === value);
      return state ? t(STATE_WORDS[state]) : plain(value);
    }
    if (name === 'tactic') {
      const words = TACTIC_WORDS[value];
      return words ? t(words) : plain(value);
    }
    if (name === 'assignee' && value === '~none') return t`nobody`;
    return plain((i18n.locale === 'vi' && label_vi) || label || value) || '–';
  };
}
