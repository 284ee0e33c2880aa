import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type InfiniteData, useQueryClient } from '@tanstack/react-query';
import { useCallback, useRef, useState } from 'react';
import { call, NetworkError } from '../api/client';
import { OWN_VERSION } from '../api/live';
import { incidentQuery } from '../api/queries';
import type { Incident, IncidentPage, Verdict } from '../api/types';
import { useLive } from '../app/liveContext';
import { failureOf } from '../app/words';
import { plain } from '../text/hostile';
import type { IncidentChange } from './change';
import {
  type BulkAnswer,
  closingOf,
  type Deed,
  partsOf,
  type UndoItem,
  undoOf,
  type Versioned,
} from './triage';
import classes from './useTriage.module.css';

const NOTE_MS = 12_000;

export interface Triage {
  /** Changes incidents as they are shown; says what was done and offers to take it back. */
  apply: (incidents: Incident[], change: IncidentChange, done: string) => void;
  /** Takes the last change back. */
  undo: () => void;
  /** Closes incidents, or asks for the verdict that some of them lack. */
  close: (incidents: Incident[]) => void;
  /** Those that wait for that verdict. */
  closing: Incident[];
  closeAs: (verdict: Verdict) => void;
  /** No verdict, then: they stay as they are. */
  leaveOpen: () => void;
}

/** A change of many, or taking one back. */
interface Sending<T extends Versioned> {
  path: string;
  items: T[];
  /** The request for a part of them. */
  body: (part: T[]) => unknown;
  /** What is true of an incident once its item was taken. */
  now: (item: T) => Partial<Incident>;
  incidents: Incident[];
}

/** Changes of one or many incidents, one after the other, each of which can be taken back. */
export function useTriage(): Triage {
  const { t } = useLingui();
  const queries = useQueryClient();
  const live = useLive();
  // One after the other: no key is lost while a change is under way.
  const chain = useRef(Promise.resolve());
  const [closing, setClosing] = useState<Incident[]>([]);
  const undoable = useRef<{ items: UndoItem[]; incidents: Incident[] } | null>(null);

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

  /** Sends requests, shows in the rows what each incident is now, and gives both lists. */
  const send = useCallback(
    async <T extends Versioned>({ path, items, body, now, incidents }: Sending<T>): Promise<BulkAnswer> => {
      const answer: BulkAnswer = { changed: [], failed: [] };
      const wanted = new Map(items.map((item) => [item.id, item]));
      for (const part of partsOf(items)) {
        const { changed, failed } = await call<BulkAnswer>(path, { method: 'POST', body: body(part) });
        answer.changed.push(...changed);
        answer.failed.push(...failed);
        for (const { id, version } of changed) {
          const incident = incidents.find((each) => each.id === id);
          const item = wanted.get(id);
          if (!incident || !item) continue;
          // A key that follows at once was pressed on what our own change made.
          queries.setQueryData([OWN_VERSION, id], version);
          live.observe({ ...newest(incident), ...now(item), version });
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
        // Where no answer came, nobody knows.
        title: error instanceof NetworkError ? t`No answer` : t`Nothing was changed`,
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
        const answer = await send({
          path: '/incidents/bulk/undo',
          items: last.items,
          body: (part) => ({ items: part }),
          now: ({ before }) => before,
          incidents: last.incidents,
        });
        notifications.hide('triage');
        notifications.show({
          color: answer.failed.length > 0 ? 'red' : 'gray',
          title: answer.changed.length > 0 ? t`Taken back` : t`Nothing was taken back`,
          message: <Outcome answer={answer} incidents={last.incidents} />,
        });
      } catch (error) {
        undoable.current = last;
        fail(error);
      }
    });
  }, [send, fail, t]);

  const applyAll = useCallback(
    (deeds: Deed[], done: string) => {
      const incidents = deeds.flatMap((deed) => deed.incidents);
      if (incidents.length === 0) return;
      chain.current = chain.current.then(async () => {
        const answer: BulkAnswer = { changed: [], failed: [] };
        const former: UndoItem[] = [];
        try {
          for (const deed of deeds) {
            const { change } = deed;
            // What was seen counts, or what we ourselves made of it: who was faster is told, not overwritten.
            const items: Versioned[] = deed.incidents.map(({ id, version }) => ({
              id,
              version: Math.max(version, queries.getQueryData<number>([OWN_VERSION, id]) ?? 0),
            }));
            const { changed, failed } = await send({
              path: '/incidents/bulk',
              items,
              body: (part) => ({ items: part, change }),
              now: () => change,
              incidents: deed.incidents,
            });
            answer.changed.push(...changed);
            answer.failed.push(...failed);
            former.push(...undoOf(change, changed));
          }
          if (former.length > 0) undoable.current = { items: former, incidents };
          notifications.hide('triage');
          notifications.show({
            id: 'triage',
            color: answer.failed.length > 0 ? 'red' : 'green',
            title: answer.changed.length > 0 ? done : t`Nothing was changed`,
            autoClose: answer.failed.length > 0 ? false : NOTE_MS,
            message: (
              <Outcome answer={answer} incidents={incidents} {...(former.length > 0 && { onUndo: undo })} />
            ),
          });
        } catch (error) {
          fail(error);
        }
      });
    },
    [send, fail, undo, queries, t],
  );

  const apply = useCallback(
    (incidents: Incident[], change: IncidentChange, done: string) => applyAll([{ incidents, change }], done),
    [applyAll],
  );
  const closeWith = (incidents: Incident[], verdict?: Verdict) => {
    setClosing([]);
    applyAll(closingOf(incidents, verdict), t`Closed`);
  };
  const leaveOpen = useCallback(() => setClosing([]), []);
  return {
    apply,
    undo,
    close: (incidents) =>
      incidents.every(({ verdict }) => verdict) ? closeWith(incidents) : setClosing(incidents),
    closing,
    closeAs: (verdict) => closeWith(closing, verdict),
    leaveOpen,
  };
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
  const reasonOf = ({ code, reason }: BulkAnswer['failed'][number]) =>
    ({
      conflict: t`somebody else has changed it meanwhile`,
      merged: t`it was merged into another`,
      missing: t`it is not there, or not for you to see`,
      verdict_needed: t`a closed incident needs a verdict`,
    })[code] ?? plain(reason);
  const [only] = changed;
  const more = failed.length - FAILURES_SHOWN;
  return (
    <div className={classes.outcome}>
      {only && changed.length === 1 && <Trans>Incident #{numberOf(only.id)}</Trans>}
      {changed.length > 1 && <Plural value={changed.length} one="# incident" other="# incidents" />}
      {failed.length > 0 && (
        <>
          <p className={classes.failed}>
            <Plural value={failed.length} one="# was not changed:" other="# were not changed:" />
          </p>
          <ul className={classes.failures} data-testid="bulk-failures">
            {failed.slice(0, FAILURES_SHOWN).map((failure) => (
              <li key={failure.id}>
                #{numberOf(failure.id)}: {reasonOf(failure)}
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
