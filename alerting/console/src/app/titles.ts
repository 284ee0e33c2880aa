/** Titles in the reader's language, where a rule has them in it. */
import { useLingui } from '@lingui/react/macro';
import { useCallback } from 'react';
import { plain } from '../text/hostile';

interface Titled {
  title: string;
  title_vi?: string;
}

/** Gives the title of an incident or a rule in the language of the page. */
export function useTitle(): (of: Titled) => string {
  const { i18n } = useLingui();
  const vietnamese = i18n.locale === 'vi';
  return useCallback(({ title, title_vi }) => plain(vietnamese && title_vi ? title_vi : title), [vietnamese]);
}
