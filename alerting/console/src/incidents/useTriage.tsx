import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type InfiniteData, useQueryClient } from '@tanstack/react-query';
import { useCallback, useRef } from 'react';
import { call } from '../api/client';
import { incidentQuery } from '../api/queries';
import type { Incident, IncidentPage } from '../api/types';
import { useLive } from '../app/liveContext';
import { failureOf } from '../app/words';
import { plain } from '../text/hostile';
import type { IncidentChange } from './change';
import { type BulkAnswer, type BulkPart, partsOf, undoOf, type Versioned } from './triage';
import classes from './useTriage.module.css';

const NOTE_MS = 12_000;

export interface Triage {
  /** Changes incidents as they are shown; says what was done and offers to take it back. */
  apply: (incidents: Incident[], change: IncidentChange, done: string) => void;
  /** Takes the last change back. */
  undo: () => void;
}

/** Changes of one or many incidents, one after the other, each of which can be taken back. */
export function useTriage(): Triage {
  const { t } = useLingui();
  const queries = useQueryClient();
  const live = useLive();
  // One after the other: no key is lost while a change is under way.
  const chain = useRef(Promise.resolve());
  // The versions that our own changes made: a key that follows at once was pressed on those.
  const own = useRef(new Map<string, number>());
  const undoable = useRef<{ parts: BulkPart[]; incidents: Incident[] } | null>(null);

  /** The incident as the lists have it now. */
  const newest = useCallback(
    (incident: Incident): Incident => {
      for (const [, data] of queries.getQueriesData<InfiniteData<IncidentPage>>({
        queryKey: ['incidents'],
      })) {
        for (const page of data?.pages ?? []) {
          const found = page.items.find(({ id }) => id === incident.id);
          if (found && found.version > incident.version) return found;
        }
      }
      return incident;
    },
    [queries],
  );

  /** Sends the parts, shows what was changed in the rows, and gives both lists. */
  const send = useCallback(
    async (parts: BulkPart[], incidents: Incident[]): Promise<BulkAnswer> => {
      const answer: BulkAnswer = { changed: [], failed: [] };
      for (const part of parts) {
        const { changed, failed } = await call<BulkAnswer>('/incidents/bulk', { method: 'POST', body: part });
        answer.changed.push(...changed);
        answer.failed.push(...failed);
        const versions = new Map(changed.map(({ id, version }) => [id, version]));
        for (const incident of incidents) {
          const version = versions.get(incident.id);
          if (version === undefined) continue;
          own.current.set(incident.id, version);
          live.observe({ ...newest(incident), ...part.change, version });
        }
      }
      for (const { id } of [...answer.changed, ...answer.failed]) {
        void queries.invalidateQueries({ queryKey: incidentQuery(id).queryKey });
      }
      void queries.invalidateQueries({ queryKey: ['facets'] });
      return answer;
    },
    [live, newest, queries],
  );

  const fail = useCallback(
    (error: unknown) => {
      const failure = failureOf(error);
      notifications.show({
        color: 'red',
        title: t`Nothing was changed`,
        message: [t(failure.what), failure.detail].filter(Boolean).join(' '),
      });
    },
    [t],
  );

  const undo = useCallback(() => {
    chain.current = chain.current.then(async () => {
      const last = undoable.current;
      if (!last) return;
      undoable.current = null;
      try {
        const answer = await send(last.parts, last.incidents);
        notifications.hide('triage');
        notifications.show({
          color: answer.failed.length > 0 ? 'red' : 'gray',
          title: t`Taken back`,
          message: <Outcome answer={answer} incidents={last.incidents} />,
        });
      } catch (error) {
        undoable.current = last;
        fail(error);
      }
    });
  }, [send, fail, t]);

  const apply = useCallback(
    (incidents: Incident[], change: IncidentChange, done: string) => {
      if (incidents.length === 0) return;
      chain.current = chain.current.then(async () => {
        const before = incidents.map(newest);
        // What was seen counts, or what we ourselves made of it: who was faster is told, not overwritten.
        const items: Versioned[] = incidents.map(({ id, version }) => ({
          id,
          version: Math.max(version, own.current.get(id) ?? 0),
        }));
        try {
          const answer = await send(partsOf(items, change), incidents);
          const parts = undoOf(before, change, answer.changed);
          if (parts.length > 0) undoable.current = { parts, incidents };
          notifications.hide('triage');
          notifications.show({
            id: 'triage',
            color: answer.failed.length > 0 ? 'red' : 'green',
            title: done,
            autoClose: answer.failed.length > 0 ? false : NOTE_MS,
            message: (
              <Outcome answer={answer} incidents={incidents} {...(parts.length > 0 && { onUndo: undo })} />
            ),
          });
        } catch (error) {
          fail(error);
        }
      });
    },
    [newest, send, fail, undo],
  );

  return { apply, undo };
}

const FAILURES_SHOWN = 8;

interface OutcomeProps {
  answer: BulkAnswer;
  incidents: Incident[];
  onUndo?: () => void;
}

/** How many were changed, which were not and why, and the way back. */
function Outcome({ answer, incidents, onUndo }: OutcomeProps) {
  const { t } = useLingui();
  const { changed, failed } = answer;
  const numberOf = (id: string) => incidents.find((each) => each.id === id)?.number ?? '?';
  const reasonOf = (reason: string) =>
    ({
      'the incident was changed since you read it': t`somebody else has changed it meanwhile`,
      'the incident was merged into another': t`it was merged into another`,
      'there is no such incident': t`it is not there, or not for you to see`,
    })[reason] ?? plain(reason);
  const [only] = changed;
  const more = failed.length - FAILURES_SHOWN;
  return (
    <div className={classes.outcome}>
      {changed.length === 1 && only ? (
        <Trans>Incident #{numberOf(only.id)}</Trans>
      ) : (
        <Plural value={changed.length} one="# incident" other="# incidents" />
      )}
      {failed.length > 0 && (
        <>
          <p className={classes.failed}>
            <Plural value={failed.length} one="# was not changed:" other="# were not changed:" />
          </p>
          <ul className={classes.failures} data-testid="bulk-failures">
            {failed.slice(0, FAILURES_SHOWN).map(({ id, reason }) => (
              <li key={id}>
                #{numberOf(id)}: {reasonOf(reason)}
              </li>
            ))}
            {more > 0 && (
              <li>
                <Trans>and {more} more</Trans>
              </li>
            )}
          </ul>
        </>
      )}
      {onUndo && (
        <Button size="compact-xs" variant="default" onClick={onUndo}>
          <Trans>Undo</Trans> <kbd className={classes.key}>Z</kbd>
        </Button>
      )}
    </div>
  );
}
