import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, Checkbox, Radio, SegmentedControl, Textarea } from '@mantine/core';
import { useDebouncedValue, useSessionStorage } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, useMemo, useState } from 'react';
import { call } from '../api/client';
import { suppressionPreviewQuery } from '../api/queries';
import type { Alert, IncidentDetail, Suppression, SuppressionTarget } from '../api/types';
import { Dialog } from '../app/Dialog';
import { Failed, SeverityBadge } from '../app/parts';
import { useTitle } from '../app/titles';
import { useUnitName } from '../app/UnitName';
import { failureOf } from '../app/words';
import { plain } from '../text/hostile';
import { Time, useNow } from '../text/Time';
import classes from './SuppressDialog.module.css';
import { type Draft, firstDraft, isEmpty, keyOf, offeredFields, targetOf } from './target';

const HOUR_MS = 3_600_000;

const WEEK = { ms: 7 * 24 * HOUR_MS, words: msg`7 days` };
/** For how long. */
const SPANS: Record<string, { ms: number; words: MessageDescriptor }> = {
  shift: { ms: 8 * HOUR_MS, words: msg`8 hours` },
  day: { ms: 24 * HOUR_MS, words: msg`1 day` },
  week: WEEK,
  month: { ms: 30 * 24 * HOUR_MS, words: msg`30 days` },
  quarter: { ms: 90 * 24 * HOUR_MS, words: msg`90 days` },
};

/** What is said most often; the words go into the record as they are read here. */
const REASONS: Record<string, MessageDescriptor> = {
  false_positive: msg`False positive: the rule is wrong here`,
  allowed: msg`Known and allowed activity`,
  maintenance: msg`Maintenance or an authorised test`,
  other: msg`Another reason`,
};

/** Fields that are shown at once; the others follow when asked for. */
const FIELDS_SHOWN = 6;

interface SuppressDialogProps {
  incident: IncidentDetail;
  alert: Alert;
  onClose: () => void;
}

/** Hides alerts like this one: what, why, until when, and what it would have hidden so far. */
export function SuppressDialog({ incident, alert, onClose }: SuppressDialogProps) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const now = useNow(60_000);
  const offered = useMemo(() => offeredFields(incident, alert), [incident, alert]);
  // Outlives a reload and a new sign-in.
  const [draft, setDraft, forget] = useSessionStorage<Draft>({
    key: `citywatch.suppress.${alert.id}`,
    defaultValue: firstDraft(alert),
    getInitialValueInEffect: false,
  });
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const target = targetOf(draft, incident, alert, offered);
  const endsAt = new Date(now + (SPANS[draft.span] ?? WEEK).ms).toISOString();
  const reasonWord = REASONS[draft.reason];
  const reason = [draft.reason !== 'other' && reasonWord ? t(reasonWord) : '', draft.words.trim()]
    .filter(Boolean)
    .join('. ');
  const ready = reason !== '' && !isEmpty(target);

  const set = useMutation({
    mutationFn: () =>
      call<Suppression>('/suppressions', { method: 'POST', body: { ...target, reason, ends_at: endsAt } }),
    onSuccess: () => {
      forget();
      void queries.invalidateQueries({ queryKey: ['suppressions'] });
      notifications.show({
        color: 'green',
        title: t`Suppressed`,
        message: t`Alerts like this are hidden and counted until the suppression ends.`,
      });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready && !set.isPending) set.mutate();
  };

  return (
    <Dialog title={t`Suppress alerts like this`} onClose={onClose}>
      <form className={classes.form} onSubmit={submit} data-testid="suppress">
        <Radio.Group
          label={t`Why`}
          value={draft.reason}
          onChange={(chosen) => change({ reason: chosen })}
          withAsterisk
        >
          <div className={classes.choices}>
            {Object.entries(REASONS).map(([value, words], at) => (
              <Radio
                key={value}
                value={value}
                label={t(words)}
                size="xs"
                data-autofocus={at === 0 || undefined}
              />
            ))}
          </div>
        </Radio.Group>
        <Textarea
          size="xs"
          autosize
          minRows={1}
          maxRows={4}
          maxLength={4_000}
          aria-label={t`More about the reason`}
          placeholder={draft.reason === 'other' ? t`Say why` : t`More about it, if there is more to say`}
          value={draft.words}
          onChange={(event) => change({ words: event.currentTarget.value })}
        />
        <fieldset className={classes.group}>
          <legend>
            <Trans>What is hidden: all that is ticked must hold</Trans>
          </legend>
          <Targets incident={incident} alert={alert} draft={draft} offered={offered} change={change} />
        </fieldset>
        <div>
          <div className={classes.label} id="suppress-span">
            <Trans>Until</Trans>{' '}
            <span className={classes.soft}>
              <Time at={endsAt} />
            </span>
          </div>
          <SegmentedControl
            size="xs"
            aria-labelledby="suppress-span"
            value={draft.span}
            onChange={(span) => change({ span })}
            data={Object.entries(SPANS).map(([value, { words }]) => ({ value, label: t(words) }))}
          />
        </div>
        <PreviewOf target={target} />
        <div role="alert">{set.error && <SetFailure error={set.error} />}</div>
        <div className={classes.buttons}>
          <Button variant="default" size="sm" onClick={onClose}>
            <Trans>Cancel</Trans>
          </Button>
          <Button type="submit" size="sm" disabled={!ready} loading={set.isPending}>
            <Trans>Suppress</Trans>
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface TargetsProps {
  incident: IncidentDetail;
  alert: Alert;
  draft: Draft;
  offered: { name: string; value: string }[];
  change: (part: Partial<Draft>) => void;
}

function Targets({ incident, alert, draft, offered, change }: TargetsProps) {
  const { t } = useLingui();
  const titleOf = useTitle();
  const unitName = useUnitName();
  const rule = incident.rules.find(({ id }) => id === alert.rule_id);
  const [all, setAll] = useState(false);
  const ticked = new Set(draft.fields);
  const shown = offered.filter((field, at) => all || at < FIELDS_SHOWN || ticked.has(keyOf(field)));
  const row = (label: string, value: string, checked: boolean, tick: (checked: boolean) => void) => (
    <Checkbox
      key={`${label} ${value}`}
      size="xs"
      checked={checked}
      onChange={(event) => tick(event.currentTarget.checked)}
      label={
        <span className={classes.value}>
          <span className={classes.soft}>{plain(label)}</span> <bdi>{plain(value)}</bdi>
        </span>
      }
    />
  );
  return (
    <div className={classes.choices}>
      {row(t`Rule`, titleOf(rule ?? { title: alert.rule_title }), draft.rule, (rule) => change({ rule }))}
      {incident.host && row(t`Host`, incident.host, draft.host, (host) => change({ host }))}
      {incident.unit && row(t`Unit`, unitName(incident.unit), draft.unit, (unit) => change({ unit }))}
      {shown.map((field) => {
        const key = keyOf(field);
        return row(field.name, field.value, ticked.has(key), (checked) =>
          change({ fields: checked ? [...draft.fields, key] : draft.fields.filter((each) => each !== key) }),
        );
      })}
      {shown.length < offered.length && (
        <Button
          variant="subtle"
          size="compact-xs"
          className={classes.more ?? ''}
          onClick={() => setAll(true)}
        >
          <Trans>More fields ({offered.length - shown.length})</Trans>
        </Button>
      )}
    </div>
  );
}

/** What would have been hidden in the last 7 days. */
function PreviewOf({ target }: { target: SuppressionTarget }) {
  const titleOf = useTitle();
  const [settled] = useDebouncedValue(target, 250);
  const { data, error, isFetching, refetch } = useQuery({
    ...suppressionPreviewQuery(settled),
    enabled: !isEmpty(settled),
  });
  if (isEmpty(target)) {
    return (
      <p className={classes.warning} role="status">
        <Trans>Tick at least one: without a limit everything would be hidden.</Trans>
      </p>
    );
  }
  if (error) return <Failed error={error} retry={() => void refetch()} />;
  return (
    <div className={classes.preview} role="status" data-testid="suppress-preview" aria-busy={isFetching}>
      {!data ? (
        <Trans>Looking at the last 7 days…</Trans>
      ) : (
        <>
          <p>
            <Trans>
              In the last 7 days this would have hidden{' '}
              <b>
                <Plural value={data.alerts + data.alerts_in_part} one="# alert" other="# alerts" />
              </b>{' '}
              with <Plural value={data.events} one="# event" other="# events" />.
            </Trans>{' '}
            <Plural
              value={data.incidents}
              _0="No incident would have stayed away as a whole."
              one="# incident would not have been opened."
              other="# incidents would not have been opened."
            />
          </p>
          {!data.complete && (
            <p>
              <Trans>There were more alerts than could be looked at: the numbers are too low.</Trans>
            </p>
          )}
          {data.true_positives > 0 && (
            <p className={classes.warning}>
              <Plural
                value={data.true_positives}
                one="# of the incidents was a real attack. Tick more, so that the next one is seen."
                other="# of the incidents were real attacks. Tick more, so that the next one is seen."
              />
            </p>
          )}
          <ul className={classes.named}>
            {data.items.slice(0, 5).map((item) => (
              <li key={item.id}>
                <SeverityBadge severity={item.severity} />{' '}
                <Link to="/incidents/$id" params={{ id: item.id }} target="_blank">
                  #{item.number} {titleOf(item)}
                </Link>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function SetFailure({ error }: { error: Error }) {
  const { t } = useLingui();
  const failure = failureOf(error);
  return <p className={classes.warning}>{[t(failure.what), failure.detail].filter(Boolean).join(' ')}</p>;
}
