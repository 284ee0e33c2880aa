/**
 * Keys of requests that change something and whose answer has not come. Sent again, be it by itself, by a second click or
 * after a reload, such a request carries the key of the first time, and the server does nothing twice.
 */

const STORAGE_KEY = 'citywatch.unanswered';

/** The server keeps answers for so long. */
const KEPT_MS = 24 * 3_600_000;

/** The oldest beyond these are forgotten: each is a request that nobody has sent again. */
const KEYS_MAX = 50;

interface Sent {
  key: string;
  at: number;
}

export class Unanswered {
  readonly #storage: () => Storage;
  readonly #now: () => number;

  constructor(storage: () => Storage, now: () => number = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  /** The key for a request: that of the first time, where its answer never came. */
  keyFor(request: string): string {
    const sent = this.#read();
    const before = sent.get(request);
    if (before) return before.key;
    const key = crypto.randomUUID();
    sent.set(request, { key, at: this.#now() });
    this.#write(sent);
    return key;
  }

  /** There was an answer, whichever: the next request like it is another one. */
  answered(request: string): void {
    const sent = this.#read();
    if (sent.delete(request)) this.#write(sent);
  }

  #read(): Map<string, Sent> {
    try {
      const entries: [string, Sent][] = JSON.parse(this.#storage().getItem(STORAGE_KEY) ?? '[]');
      return new Map(entries.filter(([, { at }]) => this.#now() - at < KEPT_MS));
    } catch {
      return new Map();
    }
  }

  #write(sent: Map<string, Sent>): void {
    try {
      this.#storage().setItem(STORAGE_KEY, JSON.stringify([...sent].slice(-KEYS_MAX)));
    } catch {
      // Without room a request that is sent again is a new one, as it was before there were keys.
    }
  }
}
