/**
 * The check of imports must be able to fail: small trees with one fault each are cruised with the project's own
 * configuration, and the rule that is broken must be named. A faultless tree passes.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../scripts/setup.mjs';

const place = mkdtempSync(join(tmpdir(), 'deconv-imports-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const deconv = 'packages/deconv';
const cli = 'packages/cli/src/main.ts';

const example = 'examples/one.ts';

/** A library, a command line and an example in which every import is right. */
const sound: Record<string, string> = {
  'package.json': '{ "type": "module", "workspaces": ["packages/*"] }',
  [example]: "import { one } from 'deconv'; console.log(one);",
  [`${deconv}/package.json`]: '{ "name": "deconv", "type": "module", "exports": { ".": "./dist/index.js" } }',
  [`${deconv}/dist/index.js`]: 'export const one = 1;',
  [`${deconv}/src/errors.ts`]: 'export const one = 1;',
  [`${deconv}/src/shape.ts`]: "export { one } from './errors.js'; export type Shape = readonly number[];",
  [`${deconv}/src/geometry/index.ts`]: "export * from './axis.js';",
  [`${deconv}/src/geometry/axis.ts`]: "export { one } from '../shape.js';",
  [`${deconv}/src/tensor.ts`]:
    "import type { Shape } from './shape.js'; export type Tensor = { shape: Shape };",
  [`${deconv}/src/kernels/reference/conv.ts`]: "export { one } from '../../geometry/index.js';",
  [`${deconv}/src/backends.ts`]: "export const open = () => import('./kernels/reference/conv.js');",
  [`${deconv}/src/autograd.ts`]: "export { open } from './backends.js';",
  [`${deconv}/src/ops/elementwise.ts`]: "export { open } from '../autograd.js';",
  [`${deconv}/src/ops/conv.ts`]: "export { open } from './elementwise.js';",
  [`${deconv}/src/ops/conv.test.ts`]: "import '../index.js'; import '../kernels/reference/conv.js';",
  [`${deconv}/src/nn/index.ts`]: "export { open } from '../ops/conv.js';",
  [`${deconv}/src/optim/index.ts`]: "export { open } from '../ops/conv.js';",
  [`${deconv}/src/io/index.ts`]: "import 'fflate'; export { open } from '../ops/conv.js';",
  'node_modules/fflate/index.js': '',
  'node_modules/fflate/package.json': '{ "name": "fflate", "main": "index.js" }',
  [`${deconv}/src/index.ts`]: "export { open } from './ops/conv.js';",
  [cli]:
    "import { readFileSync } from 'node:fs'; import { one } from 'deconv'; console.log(one, readFileSync);",
};

/** Writes the sound tree with `changes` after each file's text, cruises it, and lists `rule: from -> to`. */
function violations(name: string, changes: readonly (readonly [file: string, text: string])[]): string[] {
  const tree = join(place, name);
  const files = { ...sound };
  for (const [file, text] of changes) files[file] = `${files[file] ?? ''}\n${text}`;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  mkdirSync(join(tree, 'node_modules'), { recursive: true });
  symlinkSync('../packages/deconv', join(tree, 'node_modules/deconv'), 'junction');
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const config = join(root, '.dependency-cruiser.cjs');
  const args = [
    program,
    '--config',
    config,
    '--output-type',
    'json',
    `${deconv}/src`,
    'packages/cli/src',
    'examples',
  ];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: tree, encoding: 'utf8' });
  if (!stdout.startsWith('{')) throw new Error(`dependency-cruiser said nothing of use: ${stdout}${stderr}`);
  const { summary } = JSON.parse(stdout) as { summary: { violations: Violation[] } };
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

interface Violation {
  rule: { name: string };
  from: string;
  to: string;
}

/** Each is wrong in one way; `to` is where the wrong import leads. */
const faults: { what: string; file: string; text: string; rule: string; to: string }[] = [
  {
    what: 'an import from above',
    file: `${deconv}/src/geometry/axis.ts`,
    text: "import '../tensor.js';",
    rule: 'geometry-imports-only-from-below',
    to: `${deconv}/src/tensor.ts`,
  },
  {
    what: 'a type from above',
    file: `${deconv}/src/shape.ts`,
    text: "export type { Tensor } from './tensor.js';",
    rule: 'shape-imports-only-from-below',
    to: `${deconv}/src/tensor.ts`,
  },
  {
    what: 'the index from inside',
    file: `${deconv}/src/ops/conv.ts`,
    text: "import '../index.js';",
    rule: 'ops-imports-only-from-below',
    to: `${deconv}/src/index.ts`,
  },
  {
    what: 'a sibling',
    file: `${deconv}/src/io/index.ts`,
    text: "import '../optim/index.js';",
    rule: 'io-imports-only-from-below',
    to: `${deconv}/src/optim/index.ts`,
  },
  {
    what: 'a later family',
    file: `${deconv}/src/ops/elementwise.ts`,
    text: "import './conv.js';",
    rule: 'ops-elementwise-imports-only-earlier-families',
    to: `${deconv}/src/ops/conv.ts`,
  },
  {
    what: 'a cycle inside a room',
    file: `${deconv}/src/geometry/axis.ts`,
    text: "import './index.js';",
    rule: 'no-cycles',
    to: `${deconv}/src/geometry/index.ts`,
  },
  {
    what: 'a cycle of types',
    file: `${deconv}/src/kernels/reference/types.ts`,
    text: "import type { K } from './window.js'; export type T = K;",
    rule: 'no-cycles',
    to: `${deconv}/src/kernels/reference/window.ts`,
  },
  {
    what: 'a kernel past the registry',
    file: `${deconv}/src/autograd.ts`,
    text: "import './kernels/reference/conv.js';",
    rule: 'only-operations-and-backends-import-kernels',
    to: `${deconv}/src/kernels/reference/conv.ts`,
  },
  {
    what: 'a file without a floor',
    file: `${deconv}/src/index.ts`,
    text: "import './attic.js';",
    rule: 'every-file-has-a-floor',
    to: `${deconv}/src/attic.ts`,
  },
  {
    what: 'a family without a place',
    file: `${deconv}/src/index.ts`,
    text: "import './ops/attic.js';",
    rule: 'every-family-has-a-place',
    to: `${deconv}/src/ops/attic.ts`,
  },
  {
    what: 'a dependency of the library',
    file: `${deconv}/src/errors.ts`,
    text: "import 'left';",
    rule: 'library-has-no-dependencies',
    to: 'node_modules/left/index.js',
  },
  {
    what: "a subpath's dependency elsewhere",
    file: `${deconv}/src/nn/index.ts`,
    text: "import 'fflate';",
    rule: 'library-has-no-dependencies',
    to: 'node_modules/fflate/index.js',
  },
  {
    what: 'a second dependency of a subpath',
    file: `${deconv}/src/io/index.ts`,
    text: "import 'left';",
    rule: 'io-depends-on-one-package',
    to: 'node_modules/left/index.js',
  },
  {
    what: 'a Node module loaded at once',
    file: `${deconv}/src/errors.ts`,
    text: "import 'node:fs';",
    rule: 'library-loads-node-modules-only-on-demand',
    to: 'fs',
  },
  {
    what: 'a file that is not there',
    file: `${deconv}/src/errors.ts`,
    text: "import './nowhere.js';",
    rule: 'not-found',
    to: './nowhere.js',
  },
  {
    what: 'sources from the command line',
    file: cli,
    text: "import '../../deconv/src/index.js';",
    rule: 'others-use-the-public-surface',
    to: `${deconv}/src/index.ts`,
  },
  {
    what: 'built files from the command line',
    file: cli,
    text: "import '../../deconv/dist/one.js';",
    rule: 'others-use-the-public-surface',
    to: `${deconv}/dist/one.js`,
  },
  {
    what: 'sources from an example',
    file: example,
    text: "import '../packages/deconv/src/index.js';",
    rule: 'others-use-the-public-surface',
    to: `${deconv}/src/index.ts`,
  },
];

/** Files that only the faulty tree has, for its imports to lead to. */
const targets: [file: string, text: string][] = [
  [`${deconv}/src/attic.ts`, 'export {};'],
  [`${deconv}/src/ops/attic.ts`, 'export {};'],
  [`${deconv}/src/kernels/reference/window.ts`, "import type { T } from './types.js'; export type K = T;"],
  [`${deconv}/dist/one.js`, ''],
  ['node_modules/left/index.js', ''],
  ['node_modules/left/package.json', '{ "name": "left", "main": "index.js" }'],
];

describe('the check of imports', () => {
  it('passes a tree in which every import is right', () => {
    expect(violations('sound', [])).toEqual([]);
  });

  let found: string[] = [];
  beforeAll(() => {
    found = violations('faulty', [...targets, ...faults.map(({ file, text }) => [file, text] as const)]);
  });

  for (const { what, file, rule, to } of faults) {
    it(`catches ${what}`, () => expect(found).toContain(`${rule}: ${file} -> ${to}`));
  }
});
