import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
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
const FIRST_SCRIPT = 'src/early.ts';

/** Fails the build when the first page needs more JavaScript than it may. */
function initialSize(): Plugin {
  return {
    name: 'citywatch-initial-size',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
      const holding = (end: string) =>
        chunks.find(({ moduleIds }) => moduleIds.some((id) => id.endsWith(end)));
      const catalogue = holding('vi/messages.po');
      const page = holding(FIRST_PAGE);
      if (!catalogue || !page) this.error('the first page or its messages are in no chunk');
      const wanted = [...chunks.filter(({ isEntry }) => isEntry), catalogue, page];
      const counted = new Set<string>();
      let bytes = 0;
      for (const chunk of wanted) {
        if (counted.has(chunk.fileName)) continue;
        counted.add(chunk.fileName);
        bytes += gzipSync(chunk.code).length;
        wanted.push(...chunks.filter(({ fileName }) => chunk.imports.includes(fileName)));
      }
      const said = `${bytes} bytes of JavaScript in ${counted.size} files before the first page, of ${INITIAL_BYTES_MAX} at most`;
      if (bytes > INITIAL_BYTES_MAX) this.error(said);
      this.info(said);
    },
  };
}

/** Lets the first script run as soon as it is there: as a part of the page's script it would wait for all of it. */
function firstScript(): Plugin {
  return {
    name: 'citywatch-first-script',
    transformIndexHtml: {
      order: 'post',
      handler(html, { bundle }) {
        // A server for development has no bundle; there it runs with the rest.
        if (!bundle) return html;
        const chunk = Object.values(bundle).find(
          (each) => each.type === 'chunk' && each.moduleIds.some((id) => id.endsWith(FIRST_SCRIPT)),
        );
        if (!chunk) throw new Error(`${FIRST_SCRIPT} is in no chunk`);
        const src = `/${chunk.fileName}`;
        const rest = html
          .split('\n')
          .filter((line) => !line.includes(src))
          .join('\n');
        const attrs = { type: 'module', async: true, crossorigin: true, src };
        return { html: rest, tags: [{ tag: 'script', attrs, injectTo: 'head' }] };
      },
    },
  };
}

/** Compresses what is served for ever, beside the file itself: the server gives it to who takes Brotli. */
function compressed(): Plugin {
  return {
    name: 'citywatch-compressed',
    writeBundle({ dir }, bundle) {
      for (const file of Object.values(bundle)) {
        if (!dir || !/^assets\/.*\.(js|css|svg)$/.test(file.fileName)) continue;
        const content = file.type === 'chunk' ? file.code : file.source;
        const small = brotliCompressSync(content);
        if (small.length < content.length) writeFileSync(join(dir, `${file.fileName}.br`), small);
      }
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
    firstScript(),
    compressed(),
  ],
  build: {
    target: 'es2022',
    // Everything is a file of our own origin: nothing inlined as a data: address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // Few files: a browser asks for six at a time, and each costs more than its bytes.
        codeSplitting: {
          groups: [
            { name: 'early', test: /src\/early\.ts$|vite\/preload-helper/, priority: 3 },
            { name: 'first', tags: ['$initial'], priority: 2 },
            { name: 'queue', test: /src\/incidents\/IncidentsPage\.tsx$/, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    port: 5173,
    // `npm run dev` beside a running `citywatch up`.
    proxy: { '/api': process.env.CITYWATCH_URL ?? 'http://127.0.0.1:8787' },
  },
});
