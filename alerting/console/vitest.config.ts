import { defineConfig, mergeConfig } from 'vitest/config';
import viteConfig from './vite.config';

/** Logic only; what needs a browser is in tests/ and runs with Playwright. */
export default mergeConfig(viteConfig, defineConfig({ test: { include: ['src/**/*.test.ts'] } }));
