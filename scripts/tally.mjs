/**
 * tally: the last line of `.ci/run`, `N passed, N failed`, out of vitest's report and the exit codes of the three
 * commands before it: `node scripts/tally.mjs <check's> <test's> <fuzz's>`. A failed check counts as one failure, and so
 * does a minute of damaged models that did not end well; so does a test file that could not even be loaded, a skipped test, and a run that failed without saying which test it was.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readJson, reportFile, root } from './setup.mjs';

/**
 * @typedef {{ status: string, assertionResults: { status: string }[] }} FileResult
 * @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number, testResults: FileResult[] }} Report
 */

/**
 * Counts what passed and what failed.
 *
 * @param {Report | undefined} report
 * @param {boolean} checkFailed
 * @param {boolean} testFailed
 */
export function tally(report, checkFailed, testFailed) {
  let failed = 0;
  if (report) {
    failed = report.numFailedTests + report.numPendingTests + report.numTodoTests;
    for (const file of report.testResults) {
      const named = file.assertionResults.some((test) => test.status === 'failed');
      if (file.status === 'failed' && !named) failed++;
    }
  }
  if (failed === 0 && (testFailed || !report)) failed = 1;
  return { passed: report?.numPassedTests ?? 0, failed: failed + (checkFailed ? 1 : 0) };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [check, test, fuzz] = process.argv.slice(2).map((code) => code !== '0');
  const report = existsSync(join(root, reportFile)) ? readJson(reportFile) : undefined;
  const counted = tally(report, check, test);
  const { passed } = counted;
  const failed = counted.failed + (fuzz ? 1 : 0);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
