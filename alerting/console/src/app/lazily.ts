/**
 * Loads parts of the page when they are first needed. Without a connection it waits, says so, and goes on by itself.
 * Where the server is there and the part is not, a new version was installed: the page is loaded anew, once; drafts
 * outlive it.
 */
import { lazy } from 'react';

const AGAIN_MS_MAX = 8_000;

/** A page that was loaded anew just now and still lacks parts is not loaded anew again. */
const RELOADED_KEY = 'citywatch.reloaded';
const RELOAD_PAUSE_MS = 5 * 60_000;

type Listener = () => void;

/** How many parts wait for the connection. */
class WaitingParts {
  #count = 0;
  readonly #listeners = new Set<Listener>();

  get = (): number => this.#count;

  subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  add(more: number): void {
    this.#count += more;
    for (const listener of this.#listeners) listener();
  }
}

export const waitingParts = new WaitingParts();

async function serverAnswers(): Promise<boolean> {
  try {
    const { status } = await fetch('/', { method: 'HEAD', cache: 'no-store' });
    return status < 500;
  } catch {
    return false;
  }
}

/** Ends early when the browser hears of a network. */
function pause(ms: number): Promise<void> {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener('online', end);
      done();
    };
    const timer = setTimeout(end, ms);
    window.addEventListener('online', end);
  });
}

/** A stylesheet that failed stays in the page as failed, and is not asked for again by itself. */
async function reloadStyles(): Promise<void> {
  const failed = [...document.querySelectorAll<HTMLLinkElement>('link[rel="stylesheet"]')].filter(
    ({ sheet }) => sheet === null,
  );
  await Promise.all(
    failed.map(
      (link) =>
        new Promise<void>((done, fail) => {
          const again = link.cloneNode() as HTMLLinkElement;
          again.addEventListener('load', () => done(), { once: true });
          again.addEventListener('error', () => fail(new Error(`no answer to ${link.href}`)), { once: true });
          link.replaceWith(again);
        }),
    ),
  );
}

function mayReload(): boolean {
  try {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED_KEY) ?? 0) < RELOAD_PAUSE_MS) return false;
    sessionStorage.setItem(RELOADED_KEY, String(Date.now()));
    return true;
  } catch {
    return false;
  }
}

/** Whether this page was loaded anew because a new version was installed; told once. */
export function wasReloaded(): boolean {
  try {
    const key = `${RELOADED_KEY}.told`;
    const at = sessionStorage.getItem(RELOADED_KEY);
    if (!at || sessionStorage.getItem(key) === at) return false;
    sessionStorage.setItem(key, at);
    return true;
  } catch {
    return false;
  }
}

/** Not the browser's own error: the router knows that one and would load the page anew by itself. */
class MissingPartError extends Error {
  constructor(cause: unknown) {
    super('the server does not have a part of this page', { cause });
    this.name = 'MissingPartError';
  }
}

/** What `load` gives, however long the connection is lost meanwhile. */
export async function lazily<T>(load: () => Promise<T>): Promise<T> {
  let isWaiting = false;
  let missing = 0;
  try {
    for (let failures = 0; ; failures++) {
      try {
        if (failures > 0) await reloadStyles();
        return await load();
      } catch (error) {
        if (await serverAnswers()) {
          // Once may be a connection that broke in the middle.
          missing += 1;
          if (missing > 1) {
            if (!mayReload()) throw new MissingPartError(error);
            window.location.reload();
            return await new Promise<never>(() => {});
          }
        } else {
          missing = 0;
          if (!isWaiting) waitingParts.add(1);
          isWaiting = true;
        }
      }
      await pause(Math.min(1_000 * 2 ** failures, AGAIN_MS_MAX));
    }
  } finally {
    if (isWaiting) waitingParts.add(-1);
  }
}

/** As React's `lazy`, see {@link lazily}. */
export const lazyPart: typeof lazy = (load) => lazy(() => lazily(load));
