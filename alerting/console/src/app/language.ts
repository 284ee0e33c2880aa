import { i18n } from '@lingui/core';
import { CATALOGUES, LANGUAGE_KEY, type Language } from './catalogues';
import { lazily } from './lazily';

/** Says everything in that language from now on. */
export async function activateLanguage(language: Language): Promise<void> {
  const { messages } = await lazily(CATALOGUES[language]);
  i18n.load(language, messages);
  i18n.activate(language);
  document.documentElement.lang = language;
  try {
    localStorage.setItem(LANGUAGE_KEY, language);
  } catch {
    // Not kept for next time, then.
  }
}
