/**
 * Requests to `/api/v1`: session, CSRF token, problem+json.
 *
 * A request that finds the session ended does not fail: it waits until the same person has signed in
 * again and is then sent once more, so that an expired session loses neither place nor input. A request
 * that changes something and gets no answer is sent again under the same key, and done once.
 */
import { loadProblemWords } from '../app/problems';
import { forgetEarly, takeEarly } from './early';
import type { Problem, Session } from './types';
import { Unanswered } from './unanswered';

/** The server answered, and said no. */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: Problem;
  /** From `Retry-After`; 0 when the server names no time. */
  readonly retryAfterSeconds: number;

  constructor(status: number, problem: Problem, retryAfterSeconds = 0) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** No answer came: the server or the network is away. */
export class NetworkError extends Error {
  /** Whether the request was to change something: then nobody knows whether it did. */
  readonly changing: boolean;

  constructor(cause: unknown, changing = false) {
    super('no answer from the server', { cause });
    this.name = 'NetworkError';
    this.changing = changing;
  }
}

/** Why nobody is signed in. */
export type Absence = 'signed-out' | 'expired';

export type SessionState =
  | { kind: 'unknown' }
  | { kind: 'absent'; why: Absence; last: Session | null }
  | { kind: 'present'; session: Session };

type Listener = () => void;

class SessionHolder {
  #state: SessionState = { kind: 'unknown' };
  readonly #listeners = new Set<Listener>();
  #waiting: { resume: () => void; giveUp: (error: Error) => void }[] = [];

  get = (): SessionState => this.#state;

  subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #set(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  present(session: Session): void {
    const before = this.#state;
    this.#set({ kind: 'present', session });
    const same = before.kind !== 'absent' || before.last?.user.name === session.user.name;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) {
      if (same) request.resume();
      else request.giveUp(new ApiError(401, { said: { code: 'signed_out' } }));
    }
  }

  /** The server no longer knows the session. */
  expired(): void {
    if (this.#state.kind === 'absent') return;
    const last = this.#state.kind === 'present' ? this.#state.session : null;
    this.#set({ kind: 'absent', why: last ? 'expired' : 'signed-out', last });
  }

  signedOut(): void {
    for (const request of this.#waiting) request.giveUp(new ApiError(401, { said: { code: 'signed_out' } }));
    this.#waiting = [];
    this.#set({ kind: 'absent', why: 'signed-out', last: null });
  }

  /** Resolves once the same person is signed in again. */
  again(signal?: AbortSignal): Promise<void> {
    return new Promise((resume, giveUp) => {
      this.#waiting.push({ resume, giveUp });
      signal?.addEventListener('abort', () => giveUp(signal.reason), { once: true });
    });
  }
}

export const sessionHolder = new SessionHolder();

export interface CallOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  /** A body that is text as it is, and its type. */
  text?: { content: string; type: string };
  /** The version of the thing that the change was decided on. */
  ifMatch?: number;
  /** It only asks, whatever its method is. */
  asks?: boolean;
  signal?: AbortSignal;
}

/** Whether what this server holds are played recordings: every answer of it says so, refusals too. */
class Installation {
  #demonstration = false;
  readonly #listeners = new Set<Listener>();

  isDemonstration = (): boolean => this.#demonstration;

  subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  heard(response: Response): void {
    const demonstration = response.headers.has('Citywatch-Demonstration');
    if (demonstration === this.#demonstration) return;
    this.#demonstration = demonstration;
    for (const listener of this.#listeners) listener();
  }
}

export const installation = new Installation();

const BASE = '/api/v1';

async function send(path: string, options: CallOptions, key?: string): Promise<Response> {
  const headers = new Headers({ Accept: 'application/json' });
  const init: RequestInit = { method: options.method ?? 'GET', headers, credentials: 'same-origin' };
  if (options.body !== undefined) {
    headers.set('Content-Type', 'application/json');
    init.body = JSON.stringify(options.body);
  }
  if (options.text) {
    headers.set('Content-Type', options.text.type);
    init.body = options.text.content;
  }
  if (options.ifMatch !== undefined) headers.set('If-Match', `"${options.ifMatch}"`);
  if (key) headers.set('Idempotency-Key', key);
  const state = sessionHolder.get();
  if (init.method !== 'GET' && state.kind === 'present')
    headers.set('X-CSRF-Token', state.session.csrf ?? '');
  if (options.signal) init.signal = options.signal;
  try {
    const response = await ((init.method === 'GET' && takeEarly(path)) || fetch(BASE + path, init));
    installation.heard(response);
    return response;
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new NetworkError(cause, init.method !== 'GET' && !options.asks);
  }
}

const unanswered = new Unanswered(() => sessionStorage);

/** How long to wait before a request that changes something is sent again: a server that is started anew is back by then. */
const AGAIN_MS = [1_000, 2_000, 4_000, 8_000, 8_000];

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** The request by which a lost answer is found again; `null` for what changes nothing. */
function fingerprint(
  path: string,
  { method = 'GET', body, text, ifMatch, asks }: CallOptions,
): string | null {
  if (method === 'GET' || asks) return null;
  return JSON.stringify([method, path, ifMatch, body, text?.content]);
}

/** Sends what changes something until there is an answer, with a key by which the server does it once. */
async function sendOnce(path: string, options: CallOptions, request: string): Promise<Response> {
  for (let failures = 0; ; failures++) {
    const wait = AGAIN_MS[failures];
    try {
      const response = await send(path, options, unanswered.keyFor(request));
      const isRunning = response.status === 409 && (await codeOf(response)) === 'still_running';
      // Who has to sign in first is not answered yet.
      if (!isRunning && response.status !== 401) unanswered.answered(request);
      if (!isRunning || wait === undefined) return response;
    } catch (error) {
      if (!(error instanceof NetworkError) || wait === undefined) throw error;
      // Not a server that is being started anew: there is no network, and the person is told at once.
      if (!navigator.onLine) throw error;
    }
    await pause(wait as number);
  }
}

async function codeOf(response: Response): Promise<string | undefined> {
  const { problem } = await problemOf(response.clone());
  return problem.said?.code;
}

async function problemOf(response: Response): Promise<ApiError> {
  let problem: Problem = { status: response.status, title: response.statusText };
  if (/json/.test(response.headers.get('Content-Type') ?? '')) {
    try {
      problem = { ...problem, ...((await response.json()) as Problem) };
    } catch {
      // A broken body tells no more than the status does.
    }
  }
  await loadProblemWords();
  const retryAfter = Number(response.headers.get('Retry-After') ?? 0);
  return new ApiError(response.status, problem, Number.isFinite(retryAfter) ? retryAfter : 0);
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** Sends a request and reads its answer as `T`; throws {@link ApiError} or {@link NetworkError}. */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const sentWith = sessionHolder.get();
  const request = fingerprint(path, options);
  const transmit = () => (request === null ? send(path, options) : sendOnce(path, options, request));
  let response = await transmit();
  if (response.status === 401) {
    // A late answer to a request of the former session says nothing of the present one.
    if (sessionHolder.get() === sentWith) sessionHolder.expired();
    if (sessionHolder.get().kind !== 'present') await sessionHolder.again(options.signal);
    response = await transmit();
  }
  return read<T>(response);
}

/** Asks who is signed in and tells the holder. Throws only when the server cannot be reached. */
export async function resumeSession(): Promise<void> {
  const response = await send('/session', {});
  if (response.status === 401) {
    forgetEarly();
    return sessionHolder.expired();
  }
  sessionHolder.present(await read<Session>(response));
}

/** Throws {@link ApiError} 401 when name or password is wrong, 429 after too many attempts. */
export async function signIn(user: string, password: string): Promise<void> {
  const response = await send('/session', { method: 'POST', body: { user, password } });
  sessionHolder.present(await read<Session>(response));
}

export async function signOut(): Promise<void> {
  const response = await send('/session', { method: 'DELETE' });
  if (!response.ok && response.status !== 401) throw await problemOf(response);
  sessionHolder.signedOut();
}
