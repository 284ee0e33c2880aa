import { defineConfig } from '@playwright/test';
import { baseUrl, SESSION_FILE } from './tests/server';

/** Against a running `citywatch up`; see tests/server.ts for what it is told by. */
export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  reporter: [['list']],
  // One server whose incidents the tests change: one at a time, in order.
  workers: 1,
  fullyParallel: false,
  // For a slow machine that has much else to do; nothing waits longer than it must.
  timeout: 300_000,
  expect: { timeout: 90_000 },
  use: {
    baseURL: baseUrl(),
    // On an address other than loopback the server has a certificate of its own.
    ignoreHTTPSErrors: true,
    screenshot: 'only-on-failure',
    viewport: { width: 1440, height: 900 },
    launchOptions: {
      executablePath: process.env.CITYWATCH_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        // A container's /dev/shm is too small for the pages of a browser.
        '--disable-dev-shm-usage',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    { name: 'sign in', testMatch: 'sign-in.spec.ts' },
    {
      name: 'pages',
      testIgnore: 'sign-in.spec.ts',
      dependencies: ['sign in'],
      use: { storageState: SESSION_FILE },
    },
    // deploy/browser-speed.sh starts it, against a server of its own.
    ...(process.env.CITYWATCH_SPEED_DIR ? [{ name: 'speed', testMatch: 'speed.ts' }] : []),
    ...(process.env.CITYWATCH_SCREENSHOTS
      ? [
          {
            name: 'screenshots',
            testMatch: 'screenshots.ts',
            dependencies: ['sign in'],
            use: { storageState: SESSION_FILE },
          },
        ]
      : []),
  ],
});
