/**
 * deconv as a process of its own: one JSON request per line on stdin, one JSON answer per line on stdout, as torch-child.py.
 * `prepare` makes a network and writes its weights to a file, `step` trains one batch, `memory` tells the peak.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { configure, tensor } from 'deconv';
import { writeSafetensors } from 'deconv/io';
import { networks } from './networks.mjs';

const [threads, wide] = JSON.parse(process.argv[2]);
const inForce = await configure({ threads, wideSimd: wide });
console.log(JSON.stringify({ detail: `${inForce.threads} threads, tile ${inForce.tile}` }));

/** @type {import('./networks.mjs').Trained} */
let trained;
/** @type {import('deconv').Tensor[]} */
let data;

/** @type {Record<string, (request: any) => object>} */
const handlers = {
  prepare({ network, weights, files }) {
    const { make, data: shapes } = networks[network];
    trained = make();
    data = shapes.map((shape, i) => {
      const bytes = Uint8Array.from(readFileSync(files[i]));
      return tensor(new Float32Array(bytes.buffer), shape);
    });
    writeFileSync(weights, writeSafetensors(trained.model.stateDict()));
    return {};
  },
  step() {
    const begin = performance.now();
    const loss = trained.step(data);
    return { ms: performance.now() - begin, loss };
  },
  memory: () => ({ peak: process.resourceUsage().maxRSS * 1024 }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(handlers[request.do](request)));
}
