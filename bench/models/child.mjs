/**
 * One runtime as a process of its own: `load` reads a model file and runs it once, `run` runs it, `result` writes the
 * output to a file, `memory` tells the peak. The runtime is only imported when a model is loaded: that is part of its
 * load time.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { peakMemory, serve } from '../process.mjs';

const [name, threads, wide] = JSON.parse(process.argv[2]);

/**
 * @typedef {(bytes: Uint8Array, data: Float32Array, shape: number[]) => Promise<() => Promise<Float32Array>>} Opener
 * @type {Record<string, Opener>}
 */
const openers = {
  async deconv(bytes, data, shape) {
    const { configure, tensor } = await import('deconv');
    const { loadOnnx } = await import('deconv/onnx');
    await configure({ threads, wideSimd: wide });
    const model = await loadOnnx(bytes);
    const [input] = model.inputs;
    const [output] = model.outputs;
    const x = tensor(data, shape);
    return async () => /** @type {Float32Array} */ ((await model.run({ [input.name]: x }))[output.name].data);
  },
  'ort-node': (...all) => openOrt(import('onnxruntime-node'), 'cpu', ...all),
  'ort-web': (...all) => openOrt(import('onnxruntime-web'), 'wasm', ...all),
};

/** @param {Promise<any>} module @param {string} provider @param {Parameters<Opener>} all */
async function openOrt(module, provider, ...[bytes, data, shape]) {
  const ort = await module;
  if (provider === 'wasm') ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  const options = { executionProviders: [provider], intraOpNumThreads: threads, logSeverityLevel: 3 };
  const session = await ort.InferenceSession.create(bytes, options);
  const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', data, shape) };
  return async () => (await session.run(feeds))[session.outputNames[0]].data;
}

/** @type {() => Promise<Float32Array>} */
let run;

await serve(`${threads} threads`, {
  async load({ file, input, shape }) {
    const bytes = new Uint8Array(readFileSync(file));
    const data = new Float32Array(Uint8Array.from(readFileSync(input)).buffer);
    const begin = performance.now();
    run = await openers[name](bytes, data, shape);
    const loaded = performance.now() - begin;
    await run();
    return { loaded, first: performance.now() - begin };
  },
  async run() {
    const begin = performance.now();
    await run();
    return { ms: performance.now() - begin };
  },
  async result({ file }) {
    writeFileSync(file, await run());
    return {};
  },
  memory: peakMemory,
});
