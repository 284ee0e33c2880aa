// Fails when the catalogues lag behind the code: a message that is not in them, or has no translation.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const CATALOGUES = ['vi/messages', 'vi/problems', 'en/messages', 'en/problems'].map(
  (name) => `locales/${name}.po`,
);
const before = CATALOGUES.map((path) => readFileSync(path, 'utf8'));
execFileSync('npx', ['lingui', 'extract', '--clean'], { stdio: 'pipe' });
const withoutDate = (text) => text.replace(/^"POT-Creation-Date:.*$/m, '');
const changed = CATALOGUES.filter(
  (path, at) => withoutDate(readFileSync(path, 'utf8')) !== withoutDate(before[at]),
);
if (changed.length > 0) {
  process.stderr.write(
    `messages: ${changed.join(', ')} lagged behind the code and were brought up to date; translate what is empty and commit them\n`,
  );
  process.exit(1);
}
for (const at of [0, 1]) {
  const untranslated = [...before[at].matchAll(/^msgid "(.+)"\nmsgstr ""$/gm)].map((match) => match[1]);
  if (untranslated.length === 0) continue;
  process.stderr.write(
    `messages: ${CATALOGUES[at]} has no translation for:\n  ${untranslated.join('\n  ')}\n`,
  );
  process.exit(1);
}
