/**
 * train: `npm run bench:train`. One training step of three networks in deconv, in PyTorch and in TensorFlow.js, each in a
 * process of its own, in turns; the first losses of deconv and PyTorch, from the same weights and data, must agree.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findPython } from './contenders/torch.mjs';
import { open } from './process.mjs';
import { quantile } from './protocol.mjs';
import { ensurePeers, machine, save, threads } from './setup.mjs';
import { networks } from './training/networks.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(networks).join(',') },
    peers: { type: 'string', default: 'torch,tfjs' },
    runs: { type: 'string', default: '12' },
    'no-wide': { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`npm run bench:train -- [options]
  --only LIST   networks: ${Object.keys(networks).join(', ')}
  --peers LIST  torch, tfjs
  --runs N      turns of each (12; TensorFlow.js gets one)
  --no-wide     leave 256-bit vectors off
  --json FILE   where the figures go`);
  process.exit(0);
}
ensurePeers();

const runs = Number(values.runs);
const wide = !values['no-wide'] && Number(process.versions.node.split('.')[0]) >= 24;
const here = (/** @type {string} */ name) => fileURLToPath(new URL(`./training/${name}`, import.meta.url));
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

const python = values.peers.includes('torch') ? findPython() : undefined;
if (values.peers.includes('torch') && !python)
  console.log('No Python here can import torch: PyTorch is left out.');
const options = JSON.stringify([threads, wide]);
/** @type {Record<string, () => ReturnType<typeof open>>} */
const openers = {
  deconv: () => open(process.execPath, [here('deconv-child.mjs'), options]),
  ...(python ? { torch: () => open(python, [here('torch-child.py'), options]) } : {}),
  ...(values.peers.includes('tfjs') ? { tfjs: () => open(process.execPath, [here('tfjs-child.mjs')]) } : {}),
};

const results = {
  machine: machine(),
  engine: `Node ${process.versions.node}`,
  networks: /** @type {any[]} */ ([]),
};
console.log(`${results.engine} on ${results.machine.cpu ?? ''}; medians of ${runs} steps, in turns\n`);
for (const name of values.only.split(',')) {
  const { title, data } = networks[name];
  const folder = mkdtempSync(join(tmpdir(), 'deconv-train-'));
  const files = data.map((shape, i) => {
    const path = join(folder, `data${i}`);
    // Noise and targets in [0, 1), the same in every run.
    let seed = 7 + i;
    const next = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed / 2 ** 32;
    };
    writeFileSync(path, Float32Array.from({ length: shape.reduce((a, b) => a * b) }, next));
    return path;
  });
  /** @type {Record<string, { child: Awaited<ReturnType<typeof open>>, turns: number, ms: number[], losses: number[] }>} */
  const racers = {};
  for (const [key, opener] of Object.entries(openers)) {
    const child = await opener();
    const request = { do: 'prepare', network: name, weights: join(folder, 'weights'), files, shapes: data };
    const { missing } = await child.ask(request);
    if (missing) child.close();
    else racers[key] = { child, turns: key === 'tfjs' ? 1 : runs, ms: [], losses: [] };
  }
  for (const { child, turns, losses } of Object.values(racers)) {
    // Two steps to warm up; the first is also the one whose losses are compared.
    for (let i = 0; i < 2 && turns > 1; i++) losses.push((await child.ask({ do: 'step' })).loss);
  }
  for (let turn = 0; turn < runs; turn++) {
    for (const racer of Object.values(racers)) {
      if (turn >= racer.turns) continue;
      await sleep(50);
      const { ms, loss } = await racer.child.ask({ do: 'step' });
      racer.ms.push(ms);
      racer.losses.push(loss);
    }
  }
  const row = { name, title, entries: /** @type {Record<string, object>} */ ({}) };
  console.log(title);
  const own = quantile(racers.deconv.ms, 0.5);
  for (const [key, { child, ms, losses }] of Object.entries(racers)) {
    const { peak } = await child.ask({ do: 'memory' });
    const median = quantile(ms, 0.5);
    row.entries[key] = { ms: median, low: quantile(ms, 0.25), high: quantile(ms, 0.75), peak, losses };
    const ratio = key === 'deconv' ? '' : `  deconv is ${(median / own).toFixed(2)}× as fast`;
    const text = `${median.toFixed(0).padStart(8)} ms  peak ${(peak / 2 ** 20).toFixed(0).padStart(5)} MiB`;
    console.log(`  ${key.padEnd(7)} ${text}  (${child.detail})${ratio}`);
    child.close();
  }
  if (racers.torch) {
    const apart = racers.torch.losses.map(
      (loss, i) => Math.abs(loss - racers.deconv.losses[i]) / Math.abs(loss),
    );
    console.log(
      `  losses of the first two steps differ by ${apart
        .slice(0, 2)
        .map((d) => d.toExponential(1))
        .join(', ')}`,
    );
    if (!(apart[0] < 1e-4)) process.exitCode = 1;
  }
  results.networks.push(row);
  rmSync(folder, { recursive: true });
}
if (values.json) save(values.json, results);
