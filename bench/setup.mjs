/** setup: installs the peers when they are missing, and describes the machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ensureBuilt, npm, orExit, root, say } from '../scripts/setup.mjs';

const bench = join(root, 'bench');

/** @param {string} file relative to this folder */
const readJson = (file) => JSON.parse(readFileSync(join(bench, file), 'utf8'));

/** True when npm's record of what it installed here agrees with the lockfile; optional packages may be absent. */
function isInstalled() {
  if (!existsSync(join(bench, 'node_modules/.package-lock.json'))) return false;
  const installed = readJson('node_modules/.package-lock.json').packages;
  return Object.entries(readJson('package-lock.json').packages).every(
    ([path, { version, optional }]) =>
      path === '' || (installed[path] ? installed[path].version === version : optional === true),
  );
}

/** Builds deconv and installs the peers, without their install scripts: onnxruntime-node's would fetch CUDA files. */
export function ensurePeers() {
  ensureBuilt();
  if (isInstalled()) return;
  say('installing the peers to measure against (npm ci in bench/)');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  orExit(npm(['ci', '--prefix', bench, ...flags], { cwd: bench, quiet: true }));
}

const packages = {
  'ort-node': 'onnxruntime-node',
  'ort-web': 'onnxruntime-web',
  'tfjs-wasm': '@tensorflow/tfjs-backend-wasm',
  'tfjs-cpu': '@tensorflow/tfjs-backend-cpu',
};

/** Version of a contender that npm installed. @param {string} name @returns {string | undefined} */
export function versionOf(name) {
  if (name === 'deconv') {
    const { version } = JSON.parse(readFileSync(join(root, 'packages/deconv/package.json'), 'utf8'));
    const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], {
      cwd: root,
      encoding: 'utf8',
    });
    return status === 0 ? `${version} (${stdout.trim()})` : version;
  }
  const folder = packages[/** @type {keyof typeof packages} */ (name)];
  return folder && readJson(`node_modules/${folder}/package.json`).version;
}

/** Processors that may be used. */
export const threads = availableParallelism();

/** What the figures were measured on. */
export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: threads,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    load: Number(loadavg()[0].toFixed(2)),
    date: new Date().toISOString().slice(0, 10),
  };
}

/**
 * Where a run's figures go when nothing is said.
 *
 * @param {string} engine as `node-24.21.0`
 * @param {string} cpu
 */
export function resultFile(engine, cpu) {
  const plain = `${engine}-${cpu}`.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-');
  return join(bench, 'results', `${plain}.json`);
}

/** @param {string} file @param {object} results */
export function save(file, results) {
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}
