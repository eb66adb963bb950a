/**
 * test: `npm test`. Sets up whatever is missing (dependencies, a browser), builds, and runs every test; what follows
 * `--` goes to vitest. Ends non-zero on failure, and also when a full run skipped a test: a test that does not run
 * must not look like one that passed. Leaves vitest's report where tally.mjs reads it.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, readJson, reportFile, root, runBin } from './setup.mjs';

ensureBuilt();
const { ensureBrowser } = await import('./browser.mjs');
await ensureBrowser();
rmSync(join(root, reportFile), { force: true });

const args = process.argv.slice(2);
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
const code = runBin('vitest/vitest.mjs', ['run', ...reporters, ...args]);
if (code !== 0) process.exit(code);

const skipped = existsSync(join(root, reportFile))
  ? readJson(reportFile).numPendingTests + readJson(reportFile).numTodoTests
  : 0;
if (args.length === 0 && skipped > 0) {
  console.error(`deconv: ${skipped} tests were skipped; every test must run`);
  process.exit(1);
}
