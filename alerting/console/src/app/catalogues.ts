/** The two languages and the catalogues of their words: a catalogue is loaded when it is first needed. */
import type { Messages } from '@lingui/core';

export const LANGUAGES = ['vi', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

export const LANGUAGE_KEY = 'citywatch.language';

export const CATALOGUES: Record<Language, () => Promise<{ messages: Messages }>> = {
  vi: () => import('../../locales/vi/messages.po'),
  en: () => import('../../locales/en/messages.po'),
};

export function storedLanguage(): Language {
  try {
    return localStorage.getItem(LANGUAGE_KEY) === 'en' ? 'en' : 'vi';
  } catch {
    return 'vi';
  }
}
