/**
 * deconv as a process of its own: one JSON request per line on stdin, one JSON answer per line on stdout, as torch-child.py.
 * `prepare` makes a network and writes its weights to a file, `step` trains one batch, `memory` tells the peak.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { configure, tensor } from 'deconv';
import { writeSafetensors } from 'deconv/io';
import { peakMemory, serve } from '../process.mjs';
import { networks } from './networks.mjs';

const [threads, wide] = JSON.parse(process.argv[2]);
const inForce = await configure({ threads, wideSimd: wide });

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
  memory: peakMemory,
};

await serve(`${inForce.threads} threads, tile ${inForce.tile}`, handlers);
