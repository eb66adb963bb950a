/**
 * The packages as users get them: packed, installed into an empty project, then run in Node, bundled into a page and
 * run in a browser, and compiled against. What a bundler cannot shake off is bounded here too.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'node:util';
import { build, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../scripts/setup.mjs';
import { readmeBlock } from './support/blocks.js';
import { launchBrowser } from './support/browser.js';
import { bundle } from './support/bundle.js';
import {
  consumer,
  filesOf,
  installPackages,
  output,
  removeConsumer,
  textOf,
  write,
} from './support/consumer.js';

/** The largest the pieces may be, in bytes. */
const LIMITS = { sideEffects: 64, geometry: 6_000, convolutionGzip: 40_000 };

/** The packages that an entry may bring along; an entry that is not here brings none. */
const DEPENDENCIES: Readonly<Record<string, string[]>> = {
  'deconv/io': ['fflate'],
  'deconv/onnx': ['@bufbuild/protobuf'],
};

interface Manifest {
  readonly version: string;
  readonly type: string;
  readonly sideEffects?: false | string[];
  readonly dependencies?: Record<string, string>;
  readonly bin?: Record<string, string>;
  readonly exports?: Record<string, { readonly types: string; readonly default: string }>;
}

const manifest = (name: string): Manifest => JSON.parse(textOf(name, 'package.json'));
/** `'.'` as `'deconv'`, `'./nn'` as `'deconv/nn'`. */
const entries = () => Object.keys(manifest('deconv').exports ?? {}).map((path) => `deconv${path.slice(1)}`);

beforeAll(installPackages);
afterAll(removeConsumer);

describe('the tarballs', () => {
  it.each(['deconv', 'deconv-cli'])('%s has its code, types, readme and licence', (name) => {
    const files = filesOf(name);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.some((file) => file.endsWith('.d.ts'))).toBe(true);
    // What entries share has no types of its own: those are the sources', one file each.
    const code = files.filter((file) => file.endsWith('.js') && !file.startsWith('dist/chunks/'));
    expect(files).toEqual(expect.arrayContaining(code.map((file) => file.replace(/\.js$/, '.d.ts'))));
  });

  it('deconv is few files of code, which Node loads faster than many', () => {
    const entryFiles = Object.values(manifest('deconv').exports ?? {}).map((entry) => entry.default.slice(2));
    const code = filesOf('deconv').filter((file) => file.endsWith('.js'));
    expect(code).toEqual(expect.arrayContaining(entryFiles));
    expect(code.length - entryFiles.length).toBeLessThanOrEqual(16);
    // An entry exports its names and nothing else; its code is in the chunks.
    for (const file of entryFiles) expect(textOf('deconv', file)).not.toMatch(/function|class/);
  });

  it.each(['deconv', 'deconv-cli'])(
    '%s has nothing else: no tests, sources, maps or build records',
    (name) => {
      const wanted = /^(dist\/.+\.(js|d\.ts)|LICENSE|README\.md|package\.json)$/;
      const files = filesOf(name);
      expect(files.filter((file) => !wanted.test(file) || /test/.test(file))).toEqual([]);
      expect(files.filter((file) => textOf(name, file).includes('sourceMappingURL'))).toEqual([]);
    },
  );

  it('deconv is ES modules, and says which files a bundler must keep', () => {
    const { type, sideEffects, dependencies } = manifest('deconv');
    expect(type).toBe('module');
    // Each for one subpath; the test of bundles below holds the other entries to none.
    const allowed = Object.values(DEPENDENCIES).flat();
    expect(Object.keys(dependencies ?? {}).filter((name) => !allowed.includes(name))).toEqual([]);
    // The test of bundles below holds them to what they may cost.
    expect(sideEffects).toBeDefined();
    const kept = (sideEffects || []).map((file) => file.replace(/^\.\//, ''));
    expect(filesOf('deconv')).toEqual(expect.arrayContaining(kept));
  });

  it('deconv exports only files that are there', () => {
    const { exports = {} } = manifest('deconv');
    expect(Object.keys(exports)).toContain('.');
    for (const entry of Object.values(exports)) {
      expect(filesOf('deconv')).toEqual(
        expect.arrayContaining([entry.types.slice(2), entry.default.slice(2)]),
      );
    }
  });
});

describe('in Node', () => {
  it('every entry can be imported, and exports something', () => {
    const code = entries().map((entry) => `console.log(Object.keys(await import('${entry}')).length > 0);`);
    write({ 'entries.mjs': code.join('\n') });
    expect(output(process.execPath, ['entries.mjs'])).toBe('true\n'.repeat(entries().length));
  });

  it('the command deconv is there and works', () => {
    const [name] = Object.keys(manifest('deconv-cli').bin ?? {});
    expect(name).toBe('deconv');
    const bin = join(consumer, 'node_modules/.bin/deconv');
    expect(existsSync(bin)).toBe(true);
    const deconv = (...args: string[]) =>
      process.platform === 'win32'
        ? output(process.execPath, [join(consumer, 'node_modules/deconv-cli/dist/main.js'), ...args])
        : output(bin, args);
    expect(deconv('--version').trim()).toBe(manifest('deconv-cli').version);
    expect(deconv('shape', '3@227x227', 'conv:out=96,kernel=11,stride=4', '--quiet').trim()).toBe('96@55x55');
    deconv('project', join(root, 'assets/sample.png'), '-o', 'panel.png', '--quiet');
    expect(readFileSync(join(consumer, 'panel.png')).subarray(1, 4).toString()).toBe('PNG');
  });
});

describe('the first screen of the readme', () => {
  it('prints the same in Node and, bundled by Vite, in a browser', async () => {
    write({
      'readme.js': readmeBlock().code,
      'main.js': "import './readme.js';\nglobalThis.finished = true;",
      'index.html':
        '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>',
    });
    const inNode = output(process.execPath, ['readme.js']);
    expect(inNode.trim()).not.toBe('');

    const shared = { root: consumer, configFile: false, logLevel: 'error' } as const;
    await build({ ...shared, build: { target: 'esnext' } });
    const server = await preview({ ...shared, preview: { host: '127.0.0.1' } });
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      const lines: Promise<string>[] = [];
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
        const values = Promise.all(message.args().map((value) => value.jsonValue()));
        lines.push(values.then((given) => format(...given)));
      });
      await page.goto(server.resolvedUrls?.local[0] ?? '');
      const finished = page.waitForFunction('globalThis.finished', undefined, { timeout: 30_000 });
      await finished.catch((error: unknown) => expect.fail([...errors, String(error)].join('\n')));
      expect((await Promise.all(lines)).join('\n')).toBe(inNode.trimEnd());
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
      await server.close();
    }
  });
});

describe('types', () => {
  it.each([
    { module: 'esnext', moduleResolution: 'bundler' },
    { module: 'nodenext', moduleResolution: 'nodenext' },
  ])('compile strictly, library types included, with $moduleResolution', (resolution) => {
    const imports = entries().map((entry, index) => `import * as entry${index} from '${entry}';`);
    const uses = entries().map((_, index) => `entry${index}`);
    write({
      'types/entries.ts': `${imports.join('\n')}\nexport const all: object[] = [${uses.join(', ')}];\n`,
      'types/readme.ts': `${readmeBlock().code}\nexport {};\n`,
      'types/use.ts': `
        import { type ConvTransposeOptions, convTranspose2d, DeconvError, type Tensor, tensor } from 'deconv';
        const options: ConvTransposeOptions = { stride: 2, padding: [1, 0], overlap: 'average' };
        const y: Tensor = convTranspose2d(tensor([[[[1, 2], [3, 4]]]]), tensor([[[[1]]]]), options);
        const shape: readonly number[] = y.shape;
        // @ts-expect-error an unknown option is an error of types too
        convTranspose2d(y, y, { strides: 2 });
        export const out: [readonly number[], typeof DeconvError] = [shape, DeconvError];
      `,
      'types/tsconfig.json': JSON.stringify({
        compilerOptions: {
          ...resolution,
          target: 'es2022',
          strict: true,
          skipLibCheck: false,
          noEmit: true,
          types: [],
        },
      }),
    });
    expect(output(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'types'])).toBe('');
  });
});

describe('bundles', () => {
  it('only the entries that may bring other packages do', async () => {
    for (const entry of entries()) {
      const name = entry.replace('/', '-');
      const { packages } = await bundle(
        `all-of-${name}`,
        `import * as all from '${entry}'; console.log(all);`,
      );
      expect({ entry, packages }).toEqual({ entry, packages: DEPENDENCIES[entry] ?? [] });
    }
  });

  it('importing deconv for nothing costs nothing', async () => {
    const { modules, size } = await bundle('nothing', "import 'deconv'; console.log(1);");
    expect(modules).toEqual([]);
    expect(size).toBeLessThanOrEqual(LIMITS.sideEffects);
  });

  it('sizes alone come without kernels or operations', async () => {
    const use = "import { convGeometry } from 'deconv'; console.log(convGeometry);";
    const { modules, size } = await bundle('geometry', use);
    console.log(`convGeometry alone: ${size} bytes minified`);
    expect(modules).toEqual(['chunks/geometry', 'chunks/tensor']);
    expect(size).toBeLessThanOrEqual(LIMITS.geometry);
  });

  it('convolution and its transpose, with gradients, stay below their limit', async () => {
    const use =
      "import { conv2d, convTranspose2d, tensor } from 'deconv'; console.log(conv2d, convTranspose2d, tensor);";
    const { code, modules, size, gzip } = await bundle('convolution', use);
    console.log(`conv2d + convTranspose2d with gradients: ${size} bytes minified, ${gzip} under gzip`);
    expect(modules).toEqual(
      ['autograd', 'engine', 'geometry', 'ops', 'tensor'].map((name) => `chunks/${name}`),
    );
    // Kernels of what is not used stay out: no operation of theirs is named.
    expect(code).toContain('conv.forward');
    expect(code).not.toMatch(/softmax|matmul|pool\.|plane\.|axis\.map|channel\.|optimizer\.step/);
    expect(gzip).toBeLessThanOrEqual(LIMITS.convolutionGzip);
  });
});
