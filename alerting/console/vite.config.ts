import { transformAsync } from '@babel/core';
import { lingui } from '@lingui/vite-plugin';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/**
 * Expands Lingui's macros (`t`, `msg`, `<Trans>`) into ids and values. Vite itself no longer runs
 * Babel, so only the files that import a macro go through it.
 */
function linguiMacros(): Plugin {
  return {
    name: 'citywatch-lingui-macros',
    enforce: 'pre',
    async transform(code, id) {
      const path = id.split('?')[0] ?? id;
      if (!/\.tsx?$/.test(path) || !/@lingui\/(core|react)\/macro/.test(code)) return null;
      const result = await transformAsync(code, {
        filename: path,
        babelrc: false,
        configFile: false,
        sourceMaps: true,
        parserOpts: { plugins: path.endsWith('x') ? ['typescript', 'jsx'] : ['typescript'] },
        plugins: ['@lingui/babel-plugin-lingui-macro'],
      });
      return result?.code ? { code: result.code, map: result.map ?? null } : null;
    },
  };
}

export default defineConfig({
  // A message without a translation fails the build: no screen is ever half in another language.
  plugins: [linguiMacros(), react(), lingui({ failOnMissing: true, failOnCompileError: true })],
  build: {
    target: 'es2022',
    // Everything is a file of our own origin: nothing inlined as a data: address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    port: 5173,
    // `npm run dev` beside a running `citywatch up`.
    proxy: { '/api': process.env.CITYWATCH_URL ?? 'http://127.0.0.1:8787' },
  },
});
