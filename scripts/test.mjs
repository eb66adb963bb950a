/**
 * test: `npm test`. Sets up whatever is missing (dependencies, a browser), builds, and runs every test; what follows
 * `--` goes to vitest. Ends non-zero on failure, and also when a full run skipped a test: a test that does not run
 * must not look like one that passed. Leaves vitest's report where tally.mjs reads it.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, readJson, reportFile, root, runBin } from './setup.mjs';

ensureBuilt();
const { ensureBrowser } = await import('./browser.mjs');
await ensureBrowser();
rmSync(join(root, reportFile), { force: true });

const args = process.argv.slice(2);
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
// Temporary files of the tests, and of the documents' examples, in a folder that goes.
const folder = mkdtempSync(join(tmpdir(), 'deconv-test-'));
Object.assign(process.env, { TMPDIR: folder, TEMP: folder, TMP: folder });
const code = runBin('vitest/vitest.mjs', ['run', ...reporters, ...args]);
rmSync(folder, { recursive: true, force: true });
if (code !== 0) process.exit(code);

const skipped = existsSync(join(root, reportFile))
  ? readJson(reportFile).numPendingTests + readJson(reportFile).numTodoTests
  : 0;
if (args.length === 0 && skipped > 0) {
  console.error(`deconv: ${skipped} tests were skipped; every test must run`);
  process.exit(1);
}
