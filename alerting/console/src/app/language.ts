/** The two languages. A catalogue is loaded when it is first needed. */
import { i18n, type Messages } from '@lingui/core';

export const LANGUAGES = ['vi', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];

const STORAGE_KEY = 'citywatch.language';

const CATALOGUES: Record<Language, () => Promise<{ messages: Messages }>> = {
  vi: () => import('../../locales/vi/messages.po'),
  en: () => import('../../locales/en/messages.po'),
};

export function storedLanguage(): Language {
  try {
    return localStorage.getItem(STORAGE_KEY) === 'en' ? 'en' : 'vi';
  } catch {
    return 'vi';
  }
}

export async function activateLanguage(language: Language): Promise<void> {
  const { messages } = await CATALOGUES[language]();
  i18n.loadAndActivate({ locale: language, messages });
  document.documentElement.lang = language;
  try {
    localStorage.setItem(STORAGE_KEY, language);
  } catch {
    // Not kept for next time, then.
  }
}
