import { Trans, useLingui } from '@lingui/react/macro';
import { Button, Textarea } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, type KeyboardEvent, Suspense, useRef, useState } from 'react';
import { reasonsOf } from '../administration/reasons';
import { ApiError, call } from '../api/client';
import { incidentQuery } from '../api/queries';
import type { HistoryEntry, IncidentDetail } from '../api/types';
import { useKey } from '../app/keys';
import { lazyPart } from '../app/lazily';
import { Failed } from '../app/parts';
import { useRole } from '../app/roles';
import { plain } from '../text/hostile';
import { Time } from '../text/Time';
import classes from './Comments.module.css';
import { MergedInto } from './MergedInto';

const Markdown = lazyPart(() => import('../text/Markdown'));

const COMMENT_CHARS_MAX = 10_000;

/** What people wrote about an incident, in the order in which they did. */
export function Comments({ incident }: { incident: IncidentDetail }) {
  const comments = incident.history.filter(({ kind }) => kind === 'comment');
  const mayWrite = useRole('analyst');
  const into = incident.merged_into;
  return (
    <>
      {comments.length > 0 && (
        <ol className={classes.list}>
          {comments.map((comment, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: comments are only ever added at the end
            <Comment key={at} comment={comment} />
          ))}
        </ol>
      )}
      {comments.length === 0 && (into || !mayWrite) && (
        <p className={classes.soft}>
          <Trans>No comments.</Trans>
        </p>
      )}
      {mayWrite &&
        (into ? <UnsentComment id={incident.id} into={into} /> : <CommentForm incident={incident} />)}
    </>
  );
}

function Comment({ comment }: { comment: HistoryEntry }) {
  return (
    <li className={classes.comment} data-testid="comment">
      <p className={classes.soft}>
        <b>{plain(comment.who)}</b> <Time at={comment.at} />
      </p>
      <Shown text={comment.what} />
    </li>
  );
}

/** As plain text until what makes more of it has come. */
function Shown({ text }: { text: string }) {
  return (
    <Suspense fallback={<div>{plain(text)}</div>}>
      <Markdown text={text} />
    </Suspense>
  );
}

/** What is typed about an incident; it outlives a reload, a new sign-in and a closed window. */
function useCommentDraft(id: string) {
  return useLocalStorage({
    key: `citywatch.comment.${id}`,
    defaultValue: '',
    getInitialValueInEffect: false,
  });
}

/** What was typed before the incident was merged: it is kept, and can go where the incident went. */
function UnsentComment({ id, into }: { id: string; into: string }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const [text, , forget] = useCommentDraft(id);
  const [there, setThere] = useCommentDraft(into);
  if (!text.trim()) return null;
  const take = () => {
    setThere([there, text].filter(Boolean).join('\n\n'));
    forget();
    void navigate({ to: '/incidents/$id', params: { id: into } });
  };
  return (
    <div className={classes.form}>
      <Textarea
        autosize
        minRows={2}
        maxRows={14}
        readOnly
        label={t`Your comment, which was not sent: the incident was merged`}
        value={text}
      />
      <div className={classes.buttons}>
        <Button size="xs" onClick={take}>
          <Trans>Take it to the other incident</Trans>
        </Button>
      </div>
    </div>
  );
}

function CommentForm({ incident }: { incident: IncidentDetail }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [text, setText, forget] = useCommentDraft(incident.id);
  const [preview, setPreview] = useState(false);
  const input = useRef<HTMLTextAreaElement>(null);
  useKey('m', () => input.current?.focus(), t`Write a comment`);
  const send = useMutation({
    mutationFn: () =>
      call<void>(`/incidents/${encodeURIComponent(incident.id)}/comments`, {
        method: 'POST',
        body: { text: text.trim() },
      }),
    onSuccess: () => {
      forget();
      setPreview(false);
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: incidentQuery(incident.id).queryKey }),
  });
  const submit = (event: FormEvent | KeyboardEvent) => {
    event.preventDefault();
    if (text.trim() && !send.isPending) send.mutate();
  };
  const into = send.error instanceof ApiError && send.error.problem.merged_into;
  const reason = reasonsOf(send.error, ['text']).of('text');
  return (
    <form className={classes.form} onSubmit={submit}>
      {preview && (
        <div className={classes.preview} data-testid="comment-preview">
          <Shown text={text} />
        </div>
      )}
      <Textarea
        ref={input}
        autosize
        minRows={2}
        maxRows={14}
        maxLength={COMMENT_CHARS_MAX}
        aria-label={t`Comment`}
        placeholder={t`Comment (Markdown)`}
        value={text}
        error={reason}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
          if (event.key === 'Escape') event.currentTarget.blur();
        }}
      />
      <div className={classes.buttons}>
        <Button type="submit" size="xs" disabled={!text.trim()} loading={send.isPending}>
          <Trans>Comment</Trans>
        </Button>
        <Button
          size="xs"
          variant="default"
          aria-pressed={preview}
          disabled={!text.trim()}
          onClick={() => setPreview(!preview)}
        >
          <Trans>Preview</Trans>
        </Button>
        <span className={classes.soft}>Ctrl+Enter</span>
      </div>
      {into ? <MergedInto id={into} /> : send.error && !reason && <Failed error={send.error} />}
    </form>
  );
}
