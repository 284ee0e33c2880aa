/**
 * What the server refuses, in words that are loaded with the first refusal: the first page does without them, and a
 * server that refuses something can be asked for them.
 */
import { i18n } from '@lingui/core';
import type { FieldError, Problem } from '../api/types';
import { plain } from '../text/hostile';

let words: typeof import('./problemWords') | null = null;

/** Loads the words; without them it is said as the server says it. */
export async function loadProblemWords(): Promise<void> {
  try {
    if (words) return;
    const [loaded, vi, en] = await Promise.all([
      import('./problemWords'),
      import('../../locales/vi/problems.po'),
      import('../../locales/en/problems.po'),
    ]);
    i18n.load({ vi: vi.messages, en: en.messages });
    words = loaded;
  } catch {
    // The next refusal tries again.
  }
}

/** What the server refused, in the reader's language. */
export function problemText(problem: Problem): string {
  return words ? words.problemText(problem) : plain(problem.detail ?? problem.title ?? '');
}

/** What is wrong with a field, in the reader's language. */
export function reasonOf(error: FieldError): string {
  return words ? words.reasonOf(error) : plain(error.reason);
}
