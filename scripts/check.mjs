/**
 * check: `npm run check`. The lockfile, types, lint and format, and which way imports point. Every step runs even when one before it
 * failed; each ends in one line, and a failed one shows what its tool said.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled, npm, root, run, runBin } from './setup.mjs';

const quiet = { quiet: true };
const sources = ['packages/deconv/src', 'packages/cli/src', 'apps/playground/src', 'examples'];
const present = sources.filter((folder) => existsSync(join(root, folder)));

/** @type {[name: string, step: () => number][]} */
const steps = [
  // A lockfile that leaves out some system's optional packages installs here and fails elsewhere.
  ['lockfile', () => npm(['ci', '--dry-run', '--no-audit', '--no-fund', '--loglevel=error'], quiet)],
  ['build', () => run(process.execPath, ['scripts/build.mjs'], quiet)],
  ['types', () => runBin('typescript/bin/tsc', ['-p', 'tsconfig.test.json'], quiet)],
  [
    'lint and format',
    () => runBin('@biomejs/biome/bin/biome', ['ci', '--error-on-warnings', '--colors=off'], quiet),
  ],
  ['imports', () => runBin('dependency-cruiser/bin/dependency-cruise.mjs', present, quiet)],
];

ensureInstalled();
let failed = 0;
for (const [name, step] of steps) {
  const began = performance.now();
  const code = step();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`check: ${name.padEnd(16)} ${code === 0 ? 'ok' : 'FAILED'} (${seconds} s)`);
  if (code !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
