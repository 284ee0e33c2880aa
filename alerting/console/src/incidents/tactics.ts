/** ATT&CK's tactics, in the order of an attack. */
import type { MessageDescriptor } from '@lingui/core';
import { msg } from '@lingui/core/macro';
import { useLingui } from '@lingui/react/macro';
import { useCallback } from 'react';
import { plain } from '../text/hostile';

export const TACTIC_WORDS: Record<string, MessageDescriptor> = {
  reconnaissance: msg`Reconnaissance`,
  'resource-development': msg`Resource Development`,
  'initial-access': msg`Initial Access`,
  execution: msg`Execution`,
  persistence: msg`Persistence`,
  'privilege-escalation': msg`Privilege Escalation`,
  'defense-evasion': msg`Defense Evasion`,
  stealth: msg`Stealth`,
  'defense-impairment': msg`Defense Impairment`,
  'credential-access': msg`Credential Access`,
  discovery: msg`Discovery`,
  'lateral-movement': msg`Lateral Movement`,
  collection: msg`Collection`,
  'command-and-control': msg`Command and Control`,
  exfiltration: msg`Exfiltration`,
  impact: msg`Impact`,
};

/** Gives a tactic's name in the reader's language. */
export function useTacticName(): (tactic: string) => string {
  const { t } = useLingui();
  return useCallback(
    (tactic) => {
      const words = TACTIC_WORDS[tactic];
      return words ? t(words) : plain(tactic);
    },
    [t],
  );
}
