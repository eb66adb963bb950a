/**
 * A user's project: deconv and its command line packed as they would be published, installed into an empty folder
 * outside the repository, where nothing of ours can be reached by accident.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { npm, root, run } from '../../scripts/setup.mjs';

/** The project's folder; `node_modules/deconv` and `node_modules/deconv-cli` lie in it. */
export const consumer = mkdtempSync(join(tmpdir(), 'deconv-consumer-'));

function must(what: string, code: number): void {
  if (code !== 0) throw new Error(`${what} ended with code ${code}; what it said is above`);
}

/** Builds, packs and installs; about ten seconds. */
export function installPackages(): void {
  must('the build', run(process.execPath, [join(root, 'scripts/build.mjs')], { quiet: true }));
  // Settings that npm hands down to its scripts point at the repository; npm finds this folder's own.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(config_local|package)/.test(name)),
  );
  const options = { quiet: true, env, cwd: consumer };
  const packages = ['deconv', 'cli'].map((name) => join(root, 'packages', name));
  must('npm pack', npm(['pack', ...packages, '--pack-destination', consumer, '--loglevel=error'], options));
  const tarballs = readdirSync(consumer).filter((name) => name.endsWith('.tgz'));
  write({ 'package.json': '{ "name": "consumer", "private": true, "type": "module" }' });
  const install = [
    'install',
    ...tarballs.map((name) => `./${name}`),
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
  ];
  must('npm install', npm([...install, '--loglevel=error'], options));
}

/** Writes files into the project, by path from its folder. */
export function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(consumer, path)), { recursive: true });
    writeFileSync(join(consumer, path), text);
  }
}

/** Runs a program in the project and gives its standard output; throws with all it said when it fails. */
export function output(command: string, args: readonly string[]): string {
  const result = spawnSync(command, args, { cwd: consumer, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (result.status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${result.status ?? result.error}\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}

/** Files of an installed package, sorted, without its own dependencies. */
export function filesOf(name: string): string[] {
  const folder = join(consumer, 'node_modules', name);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((path) => !path.startsWith('node_modules/'))
    .sort();
}

/** Text of a file of an installed package. */
export const textOf = (name: string, path: string) =>
  readFileSync(join(consumer, 'node_modules', name, path), 'utf8');

export const removeConsumer = () => rmSync(consumer, { recursive: true, force: true });
