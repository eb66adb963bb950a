/**
 * run: `npm run bench`. Measures deconv against its peers in the Node that runs this, prints a table per suite and
 * writes the figures as JSON. Ends non-zero when results disagree.
 */
import { relative } from 'node:path';
import { suites } from './cases.mjs';
import { readOptions } from './options.mjs';
import { flops } from './problem.mjs';
import { race } from './protocol.mjs';
import { disagreements, finish, showHead, showSuite } from './report.mjs';
import { ensurePeers, machine, resultFile, save, threads, versionOf } from './setup.mjs';

const peers = ['ort-node', 'ort-web', 'tfjs-wasm', 'tfjs-cpu', 'torch'];
const usage = `npm run bench -- [options]
  --only LIST    suites: ${[...Object.keys(suites), 'cold'].join(', ')}
  --peers LIST   peers: ${peers.join(', ')}
  --runs N       turns of each contender (20; a call of more than 2 s gets 3, of more than 10 s only the first)
  --no-wide      leave 256-bit vectors off (Node 24 and newer has them)
  --quick        5 turns, one for calls of more than 0.2 s: to try the bench, not to quote
  --json FILE    where the figures go (bench/results/<node>-<cpu>.json)`;

const options = readOptions(usage, peers, [...Object.keys(suites), 'cold']);
ensurePeers();

const { findPython, open: openTorch } = await import('./contenders/torch.mjs');
const python = options.peers.includes('torch') ? findPython() : undefined;
if (options.peers.includes('torch') && python === undefined) {
  console.log(
    'No Python here can import torch: PyTorch is left out. (Debian: apt-get install python3-torch)\n',
  );
}

const deconv = await import('./contenders/deconv.mjs');
const ort = await import('./contenders/ort.mjs');
const tfjs = await import('./contenders/tfjs.mjs');
// Older engines do not know the flag and complain on stderr.
const wide = options.wide && Number(process.versions.node.split('.')[0]) >= 24;
const openers = {
  deconv: () => deconv.open({ threads, wide }),
  'ort-node': () => ort.openNode({ threads }),
  'ort-web': () => ort.openWeb({ threads }),
  'tfjs-wasm': () => tfjs.openWasm({ threads }),
  'tfjs-cpu': () => tfjs.openCpu(),
  ...(python ? { torch: () => openTorch({ threads, python }) } : {}),
};

const wanted = Object.entries(openers).filter(([name]) => name === 'deconv' || options.peers.includes(name));
const contenders = [];
for (const [, open] of wanted) contenders.push(await open());

const { runs, slow } = options.protocol;
const results = {
  engine: `Node ${process.versions.node} (V8 ${process.versions.v8})`,
  machine: machine(),
  protocol: options.protocol,
  contenders: contenders.map(({ name, detail, ...rest }) => ({
    name,
    version: /** @type {{ version?: string }} */ (rest).version ?? versionOf(name),
    detail,
  })),
  suites: /** @type {import('./report.mjs').SuiteResult[]} */ ([]),
};
console.log(showHead(results));

for (const name of options.suites) {
  /** @type {import('./report.mjs').SuiteResult} */
  let result;
  if (name === 'cold') {
    const { coldStarts } = await import('./cold.mjs');
    const names = contenders.map((contender) => contender.name);
    const rows = coldStarts(names, { threads, python, runs, slow });
    result = { name, title: 'Cold start of a fresh process', unit: 'ms', rows };
  } else {
    const { title, unit, problems, ...suite } = suites[name];
    const rows = [];
    for (const problem of problems) {
      if (process.stderr.isTTY) process.stderr.write(`\x1b[2K\r${title}: ${problem.name} …`);
      const entries = await race(contenders, problem, suite, options.protocol);
      rows.push({ name: problem.name, flops: flops(problem, suite.task), entries });
    }
    if (process.stderr.isTTY) process.stderr.write('\x1b[2K\r');
    result = { name, title, unit, rows };
  }
  results.suites.push(finish(result));
  console.log(showSuite(result));
}

const file = options.json ?? resultFile(`node-${process.versions.node}`, results.machine.cpu);
save(file, results);
console.log(`Wrote ${relative(process.cwd(), file)}`);
const wrong = disagreements(results);
for (const line of wrong) console.error(`bench: ${line}`);
process.exit(wrong.length === 0 ? 0 : 1);
