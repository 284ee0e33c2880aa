/**
 * What was asked for before the page's own code was there. Each answer is given once, to the first who asks for it, and
 * only while it is fresh: what is wanted later is asked for anew.
 */

const BASE = '/api/v1';
const FRESH_MS = 10_000;

const answers = new Map<string, { answer: Promise<Response>; asked: number }>();

/** Asks for `path` below `/api/v1` already. */
export function askEarly(path: string): void {
  const answer = fetch(BASE + path, {
    headers: { Accept: 'application/json' },
    credentials: 'same-origin',
  });
  // Whoever takes it learns of it; whoever does not, need not.
  answer.catch(() => undefined);
  answers.set(path, { answer, asked: performance.now() });
}

/** The answer that is on its way, or nothing. */
export function takeEarly(path: string): Promise<Response> | undefined {
  const early = answers.get(path);
  answers.delete(path);
  return early && performance.now() - early.asked < FRESH_MS ? early.answer : undefined;
}

/** Nobody is signed in: what was asked for was refused, and is asked for again by whoever signs in. */
export function forgetEarly(): void {
  answers.clear();
}
