/**
 * setup: what the other scripts stand on. It runs commands, installs the dependencies when they are missing or behind
 * the lockfile, and builds. Needs nothing but Node and npm, since it is what fetches the rest. Refuses a Node older
 * than package.json's `engines`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where a run of the tests leaves vitest's report. */
export const reportFile = 'node_modules/.cache/deconv/tests.json';

/** @param {string} file */
export const readJson = (file) => JSON.parse(readFileSync(join(root, file), 'utf8'));

/** @param {string} text */
export const say = (text) => console.log(`deconv: ${text}`);

/**
 * Runs a command to its end and gives its exit code (1 when it could not start or was killed). With `quiet` its output
 * is held back and shown only when it fails.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ quiet?: boolean, cwd?: string, env?: NodeJS.ProcessEnv, shell?: boolean }} [options]
 */
export function run(command, args, { quiet = false, cwd = root, env = process.env, shell = false } = {}) {
  const stdio = quiet ? 'pipe' : 'inherit';
  const result = spawnSync(command, args, { cwd, env, shell, stdio, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const code = result.status ?? 1;
  if (quiet && code !== 0) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  if (result.error) console.error(`deconv: could not run ${command}: ${result.error.message}`);
  return code;
}

/**
 * Runs a package's own program with this Node, without a shell, so that it works alike on every system.
 *
 * @param {string} program path inside node_modules
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export const runBin = (program, args, options) =>
  run(process.execPath, [join(root, 'node_modules', program), ...args], options);

/**
 * Runs the npm that called us, or else the one on PATH.
 *
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
export function npm(args, options) {
  const caller = process.env.npm_execpath;
  if (caller?.endsWith('.js')) return run(process.execPath, [caller, ...args], options);
  return run('npm', args, { ...options, shell: process.platform === 'win32' });
}

/** Ends the process with `code` unless it is 0. @param {number} code */
export function orExit(code) {
  if (code !== 0) process.exit(code);
}

/** True when npm's own record of what it installed agrees with the lockfile; optional packages may be absent. */
function isInstalled() {
  const record = 'node_modules/.package-lock.json';
  if (!existsSync(join(root, record))) return false;
  const installed = readJson(record).packages;
  return Object.entries(readJson('package-lock.json').packages).every(([path, wanted]) => {
    if (!path.includes('node_modules/')) return true;
    const have = installed[path];
    return have ? have.version === wanted.version : wanted.optional === true;
  });
}

/** Stops with a plain sentence when Node is too old for the tools. */
function checkNode() {
  const wanted = readJson('package.json').engines.node.replace('>=', '');
  const [major, minor] = wanted.split('.').map(Number);
  const [haveMajor, haveMinor] = process.versions.node.split('.').map(Number);
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return;
  console.error(`deconv: needs Node ${wanted} or newer, this is ${process.versions.node}`);
  process.exit(1);
}

/** Installs what the lockfile lists, when that is not already there. */
export function ensureInstalled() {
  checkNode();
  if (isInstalled()) return;
  say('installing dependencies (npm ci)');
  orExit(npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], { quiet: true }));
}

/** Installs, then builds whatever changed since the last build. */
export function ensureBuilt() {
  ensureInstalled();
  if (!existsSync(join(root, 'packages/cli/dist/main.js'))) say('building');
  orExit(run(process.execPath, [join(root, 'scripts/build.mjs')], { quiet: true }));
}
