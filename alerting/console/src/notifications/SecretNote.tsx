import { Trans } from '@lingui/react/macro';
import { OnceNote } from '../administration/OnceNote';

/** A webhook's secret: told this once. */
export function SecretNote({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <OnceNote secret={secret} onClose={onClose}>
      <Trans>
        The secret that signs this webhook is shown this once. Give it to the receiver: it computes
        HMAC-SHA256 over the time, a dot and the body, and compares it with the header X-Citywatch-Signature.
      </Trans>
    </OnceNote>
  );
}
