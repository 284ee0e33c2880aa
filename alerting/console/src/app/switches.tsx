import { useLingui } from '@lingui/react/macro';
import { Button, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import type { Language } from './catalogues';
import { Icon } from './icons';
import { activateLanguage } from './language';

const OTHER: Record<Language, { language: Language; label: string; short: string }> = {
  vi: { language: 'en', label: 'English', short: 'EN' },
  en: { language: 'vi', label: 'Tiếng Việt', short: 'VI' },
};

/** To the other language; named in that language, for who does not read this one. */
export function LanguageSwitch() {
  const { i18n } = useLingui();
  const other = OTHER[i18n.locale === 'en' ? 'en' : 'vi'];
  return (
    <Button
      variant="subtle"
      color="gray"
      size="compact-sm"
      lang={other.language}
      aria-label={`${other.short}: ${other.label}`}
      title={other.label}
      leftSection={<Icon name="language" size={16} />}
      onClick={() => void activateLanguage(other.language)}
    >
      {other.short}
    </Button>
  );
}

export function ThemeSwitch() {
  const { t } = useLingui();
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme('light', { getInitialValueInEffect: false }) === 'dark';
  const label = dark ? t`Light theme` : t`Dark theme`;
  return (
    <Button
      variant="subtle"
      color="gray"
      size="compact-sm"
      aria-label={label}
      title={label}
      onClick={() => setColorScheme(dark ? 'light' : 'dark')}
    >
      <Icon name={dark ? 'sun' : 'moon'} size={16} />
    </Button>
  );
}
