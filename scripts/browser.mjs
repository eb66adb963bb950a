/**
 * browser: finds a Chromium on this machine, or fetches one: Debian's by apt when we are root, otherwise the one
 * Playwright pins. A program counts as found only when it answers `--version`, because some systems put a stub that
 * merely asks for a snap where the browser should be.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run, runBin, say } from './setup.mjs';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const usualPlaces = [
  '/usr/lib/chromium/chromium',
  '/opt/google/chrome/chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
];

/** Asks the program for its version; on Windows, where that opens a window, being there is enough. @param {string} path */
function works(path) {
  if (!existsSync(path)) return false;
  if (process.platform === 'win32') return true;
  const answer = spawnSync(path, ['--version', '--no-sandbox'], { encoding: 'utf8', timeout: 30_000 });
  return answer.status === 0 && /chrom/i.test(answer.stdout);
}

/**
 * Path of a Chromium or Chrome that runs, or undefined. `CHROME_PATH` in the environment goes before all others.
 *
 * @returns {Promise<string | undefined>}
 */
export async function findBrowser() {
  const { chromium } = await import('playwright-core');
  const onPath = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const candidates = [
    process.env.CHROME_PATH ?? '',
    ...names.flatMap((name) => onPath.map((folder) => join(folder, name))),
    ...usualPlaces,
    chromium.executablePath() ?? '',
  ];
  return candidates.find((path) => path !== '' && works(path));
}

/** Debian's own package; fails harmlessly where there is no apt. */
function installWithApt() {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (/** @type {string[]} */ ...args) => run('apt-get', args, { quiet: true, env });
  apt('update'); // One unreachable mirror fails it although the package can be had: the install decides.
  apt('install', '--yes', '--no-install-recommends', 'chromium');
}

/** Finds a browser, or tries to get one. Says so and goes on when none can be had: the browser's test then fails. */
export async function ensureBrowser() {
  if (await findBrowser()) return;
  if (process.platform === 'linux' && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    say('no Chromium found: installing Debian’s (apt-get install chromium)');
    installWithApt();
    if (await findBrowser()) return;
  }
  say('no Chromium found: fetching the one Playwright pins');
  runBin('playwright-core/cli.js', ['install', 'chromium', '--no-shell', '--no-progress'], { quiet: true });
  if (!(await findBrowser()))
    say('no browser could be had; set CHROME_PATH to one. The tests in a browser will fail.');
}
