/**
 * cold: what a fresh process pays. Each contender in turn gets a process of its own that imports it, prepares the first
 * of the ten shapes and runs it once, data included. The clock starts before the import, with the data already made and
 * arranged; `imported` is when the library was loaded (and its own WebAssembly, where it says when), `ms` when the
 * result was there.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { coldProblem } from './cases.mjs';
import { filesOf, script } from './contenders/torch.mjs';
import { dataOf } from './problem.mjs';
import { quantile } from './protocol.mjs';

/** The modules of the contenders, and how each is opened. @type {Record<string, () => Promise<{ arrange(problem: object, data: object): unknown, open(options: object): Promise<import('./protocol.mjs').Contender> }>>} */
const modules = {
  deconv: async () => {
    const { arrange, open } = await import('./contenders/deconv.mjs');
    return { arrange, open: (options) => open(/** @type {any} */ ({ ...options, settings: false })) };
  },
  'ort-node': async () => {
    const { arrange, openNode } = await import('./contenders/ort.mjs');
    return /** @type {any} */ ({ arrange, open: openNode });
  },
  'ort-web': async () => {
    const { arrange, openWeb } = await import('./contenders/ort.mjs');
    return /** @type {any} */ ({ arrange, open: openWeb });
  },
  'tfjs-wasm': async () => {
    const { arrange, openWasm } = await import('./contenders/tfjs.mjs');
    return /** @type {any} */ ({ arrange, open: openWasm });
  },
  'tfjs-cpu': async () => {
    const { arrange, openCpu } = await import('./contenders/tfjs.mjs');
    return /** @type {any} */ ({ arrange, open: openCpu });
  },
};

/** In the fresh process. @param {string} name @param {number} threads */
async function start(name, threads) {
  const { arrange, open } = await modules[name]();
  const data = dataOf(coldProblem);
  arrange(coldProblem, data);
  const begin = performance.now();
  const contender = await open({ threads });
  const imported = performance.now() - begin;
  const prepared = await contender.prepare(coldProblem, data, 'forward');
  await prepared.run(1);
  console.log(JSON.stringify({ imported, ms: performance.now() - begin }));
  process.exit(0);
}

/** @param {string} command @param {string[]} args @returns {{ imported: number, ms: number }} */
function measure(command, args) {
  const { stdout, status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`bench: a cold start failed\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/**
 * @param {string[]} names contenders
 * @param {{ threads: number, python: string | undefined, runs: number, slow: number }} options
 * @returns {{ name: string, aside: boolean, entries: Record<string, import('./protocol.mjs').Entry> }[]} the import, and the first result
 */
export function coldStarts(names, { threads, python, runs, slow }) {
  const data = dataOf(coldProblem);
  const torch = filesOf(coldProblem, data);
  const commands = names.map((name) => ({
    name,
    once: () =>
      name === 'torch'
        ? measure(python ?? 'python3', [script, JSON.stringify({ ...torch.request, threads })])
        : measure(process.execPath, [fileURLToPath(import.meta.url), name, String(threads)]),
    timings: /** @type {{ imported: number, ms: number }[]} */ ([]),
    turns: runs,
  }));
  for (const command of commands) {
    for (let i = 0; i < 2; i++) if (command.once().ms > slow) command.turns = Math.min(runs, 3); // files into the cache
  }
  for (let turn = 0; turn < runs; turn++) {
    for (const { once, timings, turns } of commands) if (turn < turns) timings.push(once());
  }
  rmSync(torch.folder, { recursive: true });
  return /** @type {const} */ (['imported', 'ms']).map((key) => ({
    name: key === 'imported' ? 'import' : `import to first result: ${coldProblem.name}`,
    aside: key === 'imported',
    entries: Object.fromEntries(
      commands.map(({ name, timings }) => {
        const ms = timings.map((timing) => timing[key]);
        const entry = {
          ms: quantile(ms, 0.5),
          low: quantile(ms, 0.25),
          high: quantile(ms, 0.75),
          runs: ms.length,
        };
        return [name, entry];
      }),
    ),
  }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await start(process.argv[2], Number(process.argv[3]));
