/**
 * models: `npm run bench:models`. Whole networks, exported to ONNX once, run by deconv, onnxruntime-node and
 * onnxruntime-web, each in a process of its own, in turns. Outputs are compared before any timing.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { randn } from 'deconv';
import { exportOnnx } from 'deconv/onnx';
import { more } from './models/more.mjs';
import { networks as main } from './models/networks.mjs';
import { open } from './process.mjs';
import { quantile } from './protocol.mjs';
import { ensurePeers, machine, save, threads } from './setup.mjs';

const networks = { ...main, ...more };
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(main).join(',') },
    peers: { type: 'string', default: 'ort-node,ort-web' },
    runs: { type: 'string', default: '20' },
    'no-wide': { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`npm run bench:models -- [options]
  --only LIST   networks: ${Object.keys(networks).join(', ')}
  --peers LIST  ort-node, ort-web
  --runs N      turns of each (20)
  --no-wide     leave 256-bit vectors off
  --json FILE   where the figures go`);
  process.exit(0);
}
ensurePeers();

const runs = Number(values.runs);
const wide = !values['no-wide'] && Number(process.versions.node.split('.')[0]) >= 24;
const child = fileURLToPath(new URL('./models/child.mjs', import.meta.url));
const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** max|a − b| / max|b| @param {Float32Array} a @param {Float32Array} b */
function apart(a, b) {
  let [most, largest] = [a.length === b.length ? 0 : Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < b.length; i++) {
    most = Math.max(most, Math.abs(a[i] - b[i]));
    largest = Math.max(largest, Math.abs(b[i]));
  }
  return most / largest;
}

const about = machine();
const results = {
  machine: about,
  engine: `Node ${process.versions.node}`,
  wide,
  networks: /** @type {any[]} */ ([]),
};
console.log(
  `${results.engine} on ${about.cpu}, ${wide ? 'with' : 'without'} 256-bit vectors; medians of ${runs} runs, in turns`,
);
/** @type {Record<string, number[]>} */
const ratios = {};
for (const name of values.only.split(',')) {
  const { title, input: shape, make } = networks[name];
  const folder = mkdtempSync(join(tmpdir(), 'deconv-models-'));
  const [file, input] = [join(folder, 'model.onnx'), join(folder, 'input')];
  const x = randn(shape, { seed: 3 });
  const model = make();
  model.eval();
  const bytes = exportOnnx(model, x);
  writeFileSync(file, bytes);
  writeFileSync(input, /** @type {Float32Array} */ (x.data));
  console.log(`\n${title} (${mebibytes(bytes.length)} of weights)`);
  /** @type {{ key: string, racer: Awaited<ReturnType<typeof open>>, ms: number[], load: any, difference: number }[]} */
  const racers = [];
  /** @type {Float32Array | undefined} */
  let own;
  for (const key of ['deconv', ...values.peers.split(',').filter(Boolean)]) {
    const racer = await open(process.execPath, [child, JSON.stringify([key, threads, wide])]);
    const load = await racer.ask({ do: 'load', file, input, shape });
    await racer.ask({ do: 'result', file: join(folder, key) });
    const output = new Float32Array(Uint8Array.from(readFileSync(join(folder, key))).buffer);
    own ??= output;
    racers.push({ key, racer, ms: [], load, difference: apart(output, own) });
  }
  for (let turn = 0; turn < runs; turn++) {
    for (const { racer, ms } of racers) {
      await sleep(50);
      // Not timed: it wakes the contender's own threads and fills the caches.
      await racer.ask({ do: 'run' });
      ms.push((await racer.ask({ do: 'run' })).ms);
    }
  }
  const median = quantile(racers[0].ms, 0.5);
  const entries = /** @type {Record<string, object>} */ ({});
  for (const { key, racer, ms, load, difference } of racers) {
    const { peak } = await racer.ask({ do: 'memory' });
    racer.close();
    const own = quantile(ms, 0.5);
    entries[key] = { ms: own, low: quantile(ms, 0.25), high: quantile(ms, 0.75), ...load, peak, difference };
    const text = `${own.toFixed(1).padStart(8)} ms  loads in ${load.loaded.toFixed(0).padStart(4)} ms, first result after ${load.first.toFixed(0).padStart(4)} ms, peak ${mebibytes(peak).padStart(8)}`;
    if (key === 'deconv') console.log(`  ${key.padEnd(9)}${text}`);
    else {
      ratios[key] ??= [];
      ratios[key].push(own / median);
      console.log(`  ${key.padEnd(9)}${text}  deconv is ${(own / median).toFixed(2)}× as fast`);
    }
    if (!(difference < 1e-4)) {
      console.log(`  ${key} differs by ${difference.toExponential(1)}`);
      process.exitCode = 1;
    }
  }
  results.networks.push({ name, title, entries });
  rmSync(folder, { recursive: true });
}
console.log();
for (const [key, list] of Object.entries(ratios)) {
  const mean = Math.exp(list.reduce((sum, r) => sum + Math.log(r), 0) / list.length);
  console.log(`deconv ÷ ${key}: geometric mean ${mean.toFixed(2)}×, worst ${Math.min(...list).toFixed(2)}×`);
}
if (values.json) save(values.json, results);
