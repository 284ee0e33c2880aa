import type { LinguiConfig } from '@lingui/conf';

/** English is what the code says; `locales/vi/messages.po` is what most people read. */
const config: LinguiConfig = {
  sourceLocale: 'en',
  locales: ['vi', 'en'],
  catalogs: [
    {
      path: '<rootDir>/locales/{locale}/messages',
      include: ['<rootDir>/src'],
      exclude: ['<rootDir>/src/app/problemWords.ts'],
    },
    // What the server refuses: loaded with the first refusal.
    { path: '<rootDir>/locales/{locale}/problems', include: ['<rootDir>/src/app/problemWords.ts'] },
  ],
  format: 'po',
  formatOptions: { lineNumbers: false },
  orderBy: 'message',
};

export default config;
