import { i18n } from '@lingui/core';
import { CATALOGUES, LANGUAGE_KEY, type Language } from './catalogues';

/** Says everything in that language from now on. */
export async function activateLanguage(language: Language): Promise<void> {
  const { messages } = await CATALOGUES[language]();
  i18n.loadAndActivate({ locale: language, messages });
  document.documentElement.lang = language;
  try {
    localStorage.setItem(LANGUAGE_KEY, language);
  } catch {
    // Not kept for next time, then.
  }
}
