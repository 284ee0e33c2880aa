/**
 * The live connection: `GET /api/v1/stream`, resumed where it broke off.
 *
 * Read with `fetch` rather than `EventSource`, which hides the status (an ended session looks like a
 * lost network), gives up for good on an error answer, and never notices a silent peer.
 */
import { sessionHolder } from './client';
import { EventStreamParser, type ServerEvent } from './sse';

export type ConnectionState =
  | { kind: 'connecting' }
  | { kind: 'live'; since: number }
  | { kind: 'lost'; since: number; retryAt: number };

/** The server pings each 15 s; after two missed ones the peer counts as gone. */
const SILENCE_MS_MAX = 35_000;
/** Who does not answer in this time while the browser has no network is not to be reached. */
const PROBE_MS_MAX = 3_000;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;

type EventListener = (event: ServerEvent) => void;

export class LiveStream {
  #state: ConnectionState = { kind: 'connecting' };
  #lostSince = 0;
  #attempt = 0;
  #lastId = '';
  #abort: AbortController | null = null;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #stateListeners = new Set<() => void>();
  readonly #eventListeners = new Set<EventListener>();
  readonly #standingListeners = new Set<() => void>();

  get = (): ConnectionState => this.#state;

  subscribe = (listener: () => void): (() => void) => {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  };

  onEvent(listener: EventListener): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Called whenever the connection begins to stand: something may have been missed before. */
  onStanding(listener: () => void): () => void {
    this.#standingListeners.add(listener);
    return () => this.#standingListeners.delete(listener);
  }

  start(): void {
    window.addEventListener('online', this.#now);
    window.addEventListener('offline', this.#probe);
    document.addEventListener('visibilitychange', this.#now);
    void this.#connect();
  }

  stop(): void {
    window.removeEventListener('online', this.#now);
    window.removeEventListener('offline', this.#probe);
    document.removeEventListener('visibilitychange', this.#now);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#silenceTimer);
    this.#abort?.abort();
    this.#abort = null;
    this.#lastId = '';
  }

  /** Tries at once instead of waiting for the next turn. */
  #now = (): void => {
    if (this.#state.kind !== 'lost' || document.visibilityState === 'hidden') return;
    clearTimeout(this.#retryTimer);
    void this.#connect();
  };

  /**
   * The browser has lost its network. A server on loopback is still there, so that is no more than a reason to ask;
   * but silence would be noticed half a minute later.
   */
  #probe = async (): Promise<void> => {
    const abort = this.#abort;
    if (!abort) return;
    try {
      const signal = AbortSignal.timeout(PROBE_MS_MAX);
      await fetch('/api/v1/session', { signal, cache: 'no-store' });
    } catch {
      if (this.#abort !== abort) return;
      abort.abort();
      this.#lost();
    }
  };

  #set(state: ConnectionState): void {
    this.#state = state;
    for (const listener of this.#stateListeners) listener();
  }

  async #connect(): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const headers = new Headers({ Accept: 'text/event-stream' });
      if (this.#lastId) headers.set('Last-Event-ID', this.#lastId);
      this.#expectSound(abort);
      const response = await fetch('/api/v1/stream', { headers, signal: abort.signal, cache: 'no-store' });
      if (response.status === 401) return sessionHolder.expired();
      if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
      this.#stands();
      await this.#read(response.body, abort);
    } catch {
      // Whatever ended it, the answer is the same: try again.
    }
    if (this.#abort === abort) this.#lost();
  }

  async #read(body: ReadableStream<Uint8Array>, abort: AbortController): Promise<void> {
    const parser = new EventStreamParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || abort.signal.aborted) return;
      this.#expectSound(abort);
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        // After a reset the former place is none.
        if (event.id || event.event === 'reset') this.#lastId = event.id;
        for (const listener of this.#eventListeners) listener(event);
      }
    }
  }

  #expectSound(abort: AbortController): void {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => {
      abort.abort();
      if (this.#abort === abort) this.#lost();
    }, SILENCE_MS_MAX);
  }

  #stands(): void {
    this.#attempt = 0;
    this.#lostSince = 0;
    this.#set({ kind: 'live', since: Date.now() });
    for (const listener of this.#standingListeners) listener();
  }

  #lost(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#silenceTimer);
    this.#abort = null;
    this.#lostSince ||= Date.now();
    const ceiling = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#attempt++);
    // Half fixed, half random: a restarted server is not met by all browsers at once.
    const wait = ceiling / 2 + (Math.random() * ceiling) / 2;
    this.#set({ kind: 'lost', since: this.#lostSince, retryAt: Date.now() + wait });
    this.#retryTimer = setTimeout(() => void this.#connect(), wait);
  }
}

export const liveStream = new LiveStream();
