import './early';
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import './app/theme.css';

import { i18n } from '@lingui/core';
import { I18nProvider } from '@lingui/react';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/client';
import { LiveIncidents } from './api/live';
import { storedLanguage } from './app/catalogues';
import { activateLanguage } from './app/language';
import { LiveContext } from './app/liveContext';
import { createConsoleRouter } from './app/router';
import { SessionGate } from './app/SessionGate';
import { colorSchemeManager, theme } from './app/theme';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server refuses stays refused; what it fails at is told after seconds; an absent server is tried for
      // about a minute.
      retry: (failures, error) =>
        error instanceof ApiError ? error.status >= 500 && failures < 2 : failures < 6,
      retryDelay: (failures) => Math.min(1_000 * 2 ** failures, 15_000),
      refetchOnWindowFocus: false,
      gcTime: 30 * 60_000,
      // Loopback and intranet: the browser's idea of being offline means nothing here.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});
const live = new LiveIncidents(queries);
const router = createConsoleRouter();

/** The page may still be on its way: `early.ts` does not wait for it. */
function page(): Promise<void> {
  if (document.readyState !== 'loading') return Promise.resolve();
  return new Promise((parsed) =>
    document.addEventListener('DOMContentLoaded', () => parsed(), { once: true }),
  );
}

async function start(): Promise<void> {
  await Promise.all([activateLanguage(storedLanguage()), page()]);
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html has no #root');
  createRoot(root).render(
    <StrictMode>
      <I18nProvider i18n={i18n}>
        <MantineProvider theme={theme} colorSchemeManager={colorSchemeManager} defaultColorScheme="auto">
          <QueryClientProvider client={queries}>
            <LiveContext value={live}>
              <SessionGate>{() => <RouterProvider router={router} />}</SessionGate>
              <Notifications position="bottom-right" />
            </LiveContext>
          </QueryClientProvider>
        </MantineProvider>
      </I18nProvider>
    </StrictMode>,
  );
}

void start();
