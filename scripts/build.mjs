/**
 * build: `npm run build`. Types of the library, and the command line, by TypeScript (only what changed). The library's code
 * by Vite, from the sources into a few files: each floor of the library is one, each entry a list of what it exports from
 * them. Loading a hundred small files costs Node more than compiling all they contain; and bundlers shake off what is not
 * used as well from few files as from many. Nothing is minified or renamed: that is for the user's bundler.
 *
 * Drops outputs whose source is gone, makes the command executable and lays the licence and the readme where `npm pack`
 * takes them.
 */
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ensureInstalled, orExit, root, runBin } from './setup.mjs';

const [deconv, cli] = ['deconv', 'cli'].map((name) => join(root, 'packages', name));

/** The files of the library's code, lowest first, by what goes in: floors of `.dependency-cruiser.cjs`, some together. */
const CHUNKS = {
  tensor: '(errors|shape|tensor|backend|trace)\\.ts',
  geometry: 'geometry/(?!index|dialects)',
  dialects: 'geometry/dialects/',
  engine: '(kernels/.+|operations\\.ts|functions\\.ts|backends\\.ts)',
  autograd: 'autograd\\.ts',
  ops: '(ops/.+|checks\\.ts)',
  tiling: 'tiling/',
  io: 'io/',
  optim: 'optim/',
  nn: 'nn/',
  onnx: 'onnx/',
  vis: 'vis/',
};

/** Files under a folder, by path from it. @param {string} folder */
const filesOf = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'))
    : [];

/** @param {string} path */
const changed = (path) => statSync(path).mtimeMs;

/** Removes compiled files that no source accounts for; they would be published. @param {string} folder @param {RegExp} compiled */
function dropOrphans(folder, compiled) {
  for (const name of filesOf(join(folder, 'dist'))) {
    if (!compiled.test(name)) continue;
    const source = join(folder, 'src', name.replace(/\.(js|d\.ts)$/, '.ts'));
    if (!existsSync(source)) rmSync(join(folder, 'dist', name), { force: true });
  }
}

/** The library's code: one file per entry of the manifest, and the chunks that they share. */
async function bundle() {
  const [source, dist] = [join(deconv, 'src'), join(deconv, 'dist')];
  const manifest = JSON.parse(readFileSync(join(deconv, 'package.json'), 'utf8'));
  /** @type {string[]} */
  const names = Object.values(manifest.exports).map(({ default: path }) =>
    path.slice('./dist/'.length, -'.js'.length),
  );
  const made = filesOf(dist).filter((name) => name.endsWith('.js'));
  const sources = filesOf(source).filter((name) => /(?<!\.test)\.ts$/.test(name));
  const newest = Math.max(
    ...sources.map((name) => changed(join(source, name))),
    ...[import.meta.filename, join(deconv, 'package.json')].map(changed),
  );
  const files = [...names, ...Object.keys(CHUNKS).map((name) => `chunks/${name}`)];
  const whole = files.every((name) => made.includes(`${name}.js`));
  if (whole && made.every((name) => changed(join(dist, name)) > newest)) return;
  // Only now: a fresh clone has no Vite before it has been installed.
  const { build } = await import('vite');
  const outputs = await build({
    configFile: false,
    root: deconv,
    logLevel: 'warn',
    publicDir: false,
    build: {
      outDir: dist,
      emptyOutDir: false,
      minify: false,
      target: 'es2022',
      lib: {
        entry: Object.fromEntries(names.map((name) => [name, join(source, `${name}.ts`)])),
        formats: ['es'],
        fileName: (_, name) => `${name}.js`,
      },
      rolldownOptions: {
        external: ['node:', ...Object.keys(manifest.dependencies ?? {})].map(
          (name) => new RegExp(`^${name}`),
        ),
        preserveEntrySignatures: 'strict',
        optimization: { inlineConst: { mode: 'all', pass: 3 } },
        output: {
          chunkFileNames: 'chunks/[name].js',
          minifyInternalExports: false,
          comments: { legal: false, annotation: true, jsdoc: false },
          codeSplitting: {
            groups: Object.entries(CHUNKS).map(([name, files], i) => ({
              name,
              test: new RegExp(
                `packages[\\\\/]deconv[\\\\/]src[\\\\/](?:${files.replaceAll('/', '[\\\\/]')})`,
              ),
              // A chunk takes what its files import along, unless a lower one already has it.
              priority: 100 - i,
            })),
          },
        },
      },
    },
  });
  const written = [outputs]
    .flat()
    .flatMap((result) => ('output' in result ? result.output : []))
    .map(({ fileName }) => fileName);
  for (const name of made) if (!written.includes(name)) rmSync(join(dist, name), { force: true });
}

/** Copies a file when the copy is missing or older. @param {string} from @param {string} to */
function copyIfNewer(from, to) {
  if (!existsSync(to) || changed(to) < changed(from)) copyFileSync(from, to);
}

ensureInstalled();
dropOrphans(deconv, /\.d\.ts$/);
dropOrphans(cli, /\.(js|d\.ts)$/);
const types = runBin('typescript/bin/tsc', ['-b', ...[deconv, cli].map((folder) => relative(root, folder))]);
await bundle();
orExit(types);
const main = join(cli, 'dist/main.js');
if (existsSync(main)) chmodSync(main, 0o755);
for (const folder of [deconv, cli]) copyIfNewer(join(root, 'LICENSE'), join(folder, 'LICENSE'));
if (existsSync(join(root, 'README.md'))) copyIfNewer(join(root, 'README.md'), join(deconv, 'README.md'));
