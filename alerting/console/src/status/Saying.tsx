import { Plural, Trans } from '@lingui/react/macro';
import type { ReactNode } from 'react';
import { LogText } from '../text/LogText';
import { type Mapping, mapping, number, text } from './health';

interface SayingProps {
  said: Mapping;
  /** The same in English, for a code that this page does not know. */
  detail: string;
}

/** What a part of the system says of itself, in the reader's language; addresses, paths and errors are as they are. */
export function Saying({ said, detail }: SayingProps): ReactNode {
  const part = (name: string) => <LogText text={text(said[name])} />;
  switch (text(said.code)) {
    case 'nothing':
      return null;
    case 'at':
      return part('place');
    case 'failed':
      return <Trans>It failed and is tried again: {part('error')}</Trans>;
    case 'stopped':
      return <Trans>It has ended.</Trans>;
    case 'store_embedded':
      return <Trans>embedded, on {part('address')}</Trans>;
    case 'store_restarted':
      return <Trans>embedded; it ended and is started again: {part('error')}</Trans>;
    case 'store_not_set':
      return <Trans>none: [store] url is not set, so events cannot be searched</Trans>;
    case 'no_rules':
      return <Trans>no rules: set [engine] rules to files or folders of Sigma rules</Trans>;
    case 'rules_loaded':
    case 'definitions_loaded':
      return <Loaded loaded={number(said.loaded)} leftOut={number(said.left_out)} />;
    case 'rules_kept':
      return (
        <Trans>
          {number(said.loaded)} loaded; changed ones could not be loaded, those before stay: {part('error')}
        </Trans>
      );
    case 'engine_works':
      return <Trans>parses, matches, correlates, stores</Trans>;
    case 'intake_open':
      return said.takes_batches ? (
        <Trans>{part('address')} enrols agents and takes their batches</Trans>
      ) : (
        <Trans>{part('address')} enrols agents</Trans>
      );
    case 'agent_not_set':
      return <Trans>none here: neither [agent.kafka] nor [agent.https] is set</Trans>;
    case 'agent_idle':
      return <Trans>reads nothing: name files with [[agent.files]] paths</Trans>;
    case 'agent_reads':
      return <Reads said={said} />;
    case 'demonstration':
      return (
        <Trans>
          recordings are played, nothing of it happened: {number(said.days_played)} of {number(said.days)}{' '}
          days
        </Trans>
      );
    default:
      return <LogText text={detail} />;
  }
}

function Loaded({ loaded, leftOut }: { loaded: number; leftOut: number }) {
  return (
    <>
      <Trans>{loaded} loaded</Trans>
      {leftOut > 0 && (
        <>
          , <Trans>{leftOut} left out (the log says why)</Trans>
        </>
      )}
    </>
  );
}

function Reads({ said }: { said: Mapping }) {
  const first = mapping(said.first_unreadable);
  const [path, error] = [
    <LogText key="path" text={text(first.path)} />,
    <LogText key="error" text={text(first.error)} />,
  ];
  return (
    <>
      <Plural value={number(said.files)} one="reads # file" other="reads # files" />
      {number(said.unreadable) > 0 && (
        <>
          ;{' '}
          <Trans>
            {number(said.unreadable)} cannot be read and are tried again, {path} first: {error}
          </Trans>
        </>
      )}
      {text(said.problem) && (
        <>
          ; <LogText text={text(said.problem)} />
        </>
      )}
    </>
  );
}
