import { Plural, Trans, useLingui } from '@lingui/react/macro';
import { Button, PasswordInput, TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { type Absence, ApiError, signIn } from '../api/client';
import { Demonstration } from './Demonstration';
import { Logo } from './icons';
import classes from './SignIn.module.css';
import { LanguageSwitch, ThemeSwitch } from './switches';
import { failureOf } from './words';

interface SignInProps {
  why: Absence;
  /** Who was signed in, when a session ended by itself. */
  lastUser: string;
}

export function SignIn({ why, lastUser }: SignInProps) {
  const { t } = useLingui();
  const [user, setUser] = useState(lastUser);
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const passwordInput = useRef<HTMLInputElement>(null);
  const userInput = useRef<HTMLInputElement>(null);

  useEffect(() => {
    (lastUser ? passwordInput : userInput).current?.focus();
  }, [lastUser]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn(user.trim(), password);
    } catch (caught) {
      setError(caught);
      setPassword('');
      setBusy(false);
      passwordInput.current?.focus();
    }
  }

  return (
    <main className={classes.page}>
      <form className={classes.card} onSubmit={submit}>
        <div className={classes.head}>
          <Logo size={36} />
          <div>
            <h1 className={classes.title}>Citywatch</h1>
            <p className={classes.subtitle}>
              <Trans>Security monitoring of the city</Trans>
            </p>
          </div>
        </div>
        <Demonstration />
        {why === 'expired' && (
          <p className={classes.note} role="status">
            <Trans>Your session has ended. Sign in and you are where you were; nothing is lost.</Trans>
          </p>
        )}
        {error !== null && (
          <p className={classes.error} role="alert">
            <SignInFailure error={error} />
          </p>
        )}
        <TextInput
          ref={userInput}
          label={t`User name`}
          name="user"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          withAsterisk={false}
          value={user}
          onChange={(event) => setUser(event.currentTarget.value)}
        />
        <PasswordInput
          ref={passwordInput}
          label={t`Password`}
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': t`Show the password` }}
        />
        <Button type="submit" loading={busy} fullWidth mt="xs">
          <Trans>Sign in</Trans>
        </Button>
      </form>
      <div className={classes.foot}>
        <LanguageSwitch />
        <ThemeSwitch />
      </div>
    </main>
  );
}

function SignInFailure({ error }: { error: unknown }) {
  const { t } = useLingui();
  if (error instanceof ApiError && error.status === 401) {
    return <Trans>User name or password is wrong.</Trans>;
  }
  if (error instanceof ApiError && error.status === 429) {
    const minutes = Math.max(1, Math.ceil(error.retryAfterSeconds / 60));
    return (
      <Plural
        value={minutes}
        one="Too many attempts. Try again in # minute."
        other="Too many attempts. Try again in # minutes."
      />
    );
  }
  const failure = failureOf(error);
  return <>{[t(failure.what), failure.detail].filter(Boolean).join(' ')}</>;
}
