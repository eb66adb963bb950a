/** The verdict's last line counts everything that did not pass, named or not. */
import { describe, expect, it } from 'vitest';
import { type Report, tally } from '../scripts/tally.mjs';

const clean: Report = {
  numPassedTests: 7,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
};

describe('tally', () => {
  it('counts what passed', () => expect(tally(clean, false, false)).toEqual({ passed: 7, failed: 0 }));

  it('counts a failed check as one', () => expect(tally(clean, true, false).failed).toBe(1));

  it('counts failed, skipped and unwritten tests', () => {
    const report = {
      ...clean,
      numFailedTests: 2,
      numPendingTests: 3,
      numTodoTests: 1,
      testResults: [{ status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'failed' }] }],
    };
    expect(tally(report, false, true).failed).toBe(6);
  });

  it('counts a file that could not be loaded', () => {
    const report = {
      ...clean,
      testResults: [...clean.testResults, { status: 'failed', assertionResults: [] }],
    };
    expect(tally(report, false, true).failed).toBe(1);
  });

  it('counts a run that failed without a name, or left no report', () => {
    expect(tally(clean, false, true).failed).toBe(1);
    expect(tally(undefined, false, true)).toEqual({ passed: 0, failed: 1 });
    expect(tally(undefined, true, false)).toEqual({ passed: 0, failed: 2 });
  });
});
