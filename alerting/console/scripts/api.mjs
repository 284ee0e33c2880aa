// Types of the API from the server's own document: `npm run api` makes src/api/schema.d.ts anew, `--check` says
// whether it still belongs to src/api/openapi.json. The generator wants an older TypeScript than the console's, so
// it is fetched for the moment and is no dependency.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const DOCUMENT = 'src/api/openapi.json';
const TYPES = 'src/api/schema.d.ts';
const mark = `// Made from openapi.json ${createHash('sha256').update(readFileSync(DOCUMENT)).digest('hex')} by npm run api.\n`;

if (process.argv.includes('--check')) {
  if (!readFileSync(TYPES, 'utf8').startsWith(mark)) {
    process.stderr.write(`api: ${TYPES} lags behind ${DOCUMENT}; run npm run api and commit it\n`);
    process.exit(1);
  }
} else {
  const packages = ['-p', 'openapi-typescript@7.13.0', '-p', 'typescript@5'];
  execFileSync('npx', ['--yes', ...packages, 'openapi-typescript', DOCUMENT, '-o', TYPES], {
    stdio: 'inherit',
  });
  writeFileSync(TYPES, mark + readFileSync(TYPES, 'utf8'));
}
