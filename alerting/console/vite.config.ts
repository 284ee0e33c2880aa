import { gzipSync } from 'node:zlib';
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

/** What a browser loads before the list of incidents stands: gzip, which every browser takes. */
const INITIAL_BYTES_MAX = 250_000;
const FIRST_PAGE = 'src/incidents/IncidentsPage.tsx';

/** Fails the build when the first page needs more JavaScript than it may. */
function initialSize(): Plugin {
  return {
    name: 'citywatch-initial-size',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
      const catalogue = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith('vi/messages.po'));
      const page = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith(FIRST_PAGE));
      if (!catalogue || !page) this.error('the first page or its messages are no chunk of their own');
      const wanted = [...chunks.filter(({ isEntry }) => isEntry), catalogue, page];
      const counted = new Set<string>();
      let bytes = 0;
      for (const chunk of wanted) {
        if (counted.has(chunk.fileName)) continue;
        counted.add(chunk.fileName);
        bytes += gzipSync(chunk.code).length;
        wanted.push(...chunks.filter(({ fileName }) => chunk.imports.includes(fileName)));
      }
      const said = `${bytes} bytes of JavaScript before the first page, of ${INITIAL_BYTES_MAX} at most`;
      if (bytes > INITIAL_BYTES_MAX) this.error(said);
      this.info(said);
    },
  };
}

export default defineConfig({
  // A message without a translation fails the build: no screen is ever half in another language.
  plugins: [
    linguiMacros(),
    react(),
    lingui({ failOnMissing: true, failOnCompileError: true }),
    initialSize(),
  ],
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
