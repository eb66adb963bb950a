/**
 * build: `npm run build`. Compiles the library and the command line with TypeScript (only what changed), drops outputs
 * whose source is gone, makes the command executable and lays the licence and the readme where `npm pack` takes them.
 * The bundler is the user's: what is published are plain ES modules, one per source file.
 */
import { chmodSync, copyFileSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ensureInstalled, orExit, root, runBin } from './setup.mjs';

const packages = ['deconv', 'cli'].map((name) => join(root, 'packages', name));

/** Removes compiled files that no source accounts for; they would be published. @param {string} folder */
function dropOrphans(folder) {
  const dist = join(folder, 'dist');
  if (!existsSync(dist)) return;
  for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(js|d\.ts)$/.test(name)) continue;
    const source = join(folder, 'src', name.replace(/\.(js|d\.ts)$/, '.ts'));
    if (!existsSync(source)) rmSync(join(dist, name));
  }
}

/** Copies a file when the copy is missing or older. @param {string} from @param {string} to */
function copyIfNewer(from, to) {
  if (!existsSync(to) || statSync(to).mtimeMs < statSync(from).mtimeMs) copyFileSync(from, to);
}

ensureInstalled();
for (const folder of packages) dropOrphans(folder);
orExit(runBin('typescript/bin/tsc', ['-b', ...packages.map((folder) => relative(root, folder))]));
const main = join(root, 'packages/cli/dist/main.js');
if (existsSync(main)) chmodSync(main, 0o755);
for (const folder of packages) copyIfNewer(join(root, 'LICENSE'), join(folder, 'LICENSE'));
if (existsSync(join(root, 'README.md')))
  copyIfNewer(join(root, 'README.md'), join(root, 'packages/deconv/README.md'));
