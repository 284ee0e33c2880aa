import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { assigneesQuery } from '../api/queries';
import type { Incident } from '../api/types';
import classes from './BulkBar.module.css';
import { MergeDialog } from './MergeDialog';
import { TriageButtons } from './TriageButtons';
import type { Triage } from './useTriage';

interface BulkBarProps {
  incidents: Incident[];
  triage: Triage;
  onClear: () => void;
}

/** What can be done with all that is ticked. */
export function BulkBar({ incidents, triage, onClear }: BulkBarProps) {
  const { t } = useLingui();
  const { data } = useQuery(assigneesQuery);
  const [merging, setMerging] = useState(false);
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = bar.current;
    if (!element) return;
    const { style } = document.documentElement;
    const observer = new ResizeObserver(() =>
      style.setProperty('--cw-bar-height', `${element.offsetHeight}px`),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      style.removeProperty('--cw-bar-height');
    };
  }, []);
  return (
    <div ref={bar} className={classes.bar} data-testid="bulk-bar">
      <b>
        <Plural value={incidents.length} one="# ticked" other="# ticked" />
      </b>
      <TriageButtons incidents={incidents} triage={triage} label={t`What is ticked`} />
      <NativeSelect
        size="xs"
        aria-label={t`Assign to`}
        value=""
        onChange={(event) => {
          const assignee = event.currentTarget.value;
          if (assignee) triage.apply(incidents, { assignee }, t`Assigned to ${assignee}`);
        }}
        data={[{ value: '', label: t`Assign to…` }, ...(data?.items ?? [])]}
      />
      {incidents.length > 1 && (
        <Button size="xs" variant="default" onClick={() => setMerging(true)}>
          <Trans>Merge…</Trans>
        </Button>
      )}
      <Button size="xs" variant="subtle" onClick={onClear}>
        <Trans>Tick nothing</Trans>
      </Button>
      {merging && (
        <MergeDialog
          incidents={incidents}
          onClose={() => setMerging(false)}
          onMerged={() => {
            setMerging(false);
            onClear();
          }}
        />
      )}
    </div>
  );
}
