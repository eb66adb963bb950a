/** ONNX Runtime, native in Node (`onnxruntime-node`) or in WebAssembly (`onnxruntime-web`). It runs forward only. */
import { onnxModel } from '../onnx-model.mjs';
import { inputShape } from '../problem.mjs';
import { NotAvailable } from '../protocol.mjs';

/** What the library is given: a model file, kept so that it is made once. */
const models = new WeakMap();

/** @param {import('../problem.mjs').Problem} problem @param {import('../problem.mjs').Data} data @returns {Uint8Array} */
export function arrange(problem, data) {
  if (!models.has(data)) models.set(data, onnxModel(problem, data.w));
  return models.get(data);
}

/**
 * @param {string} name
 * @param {any} ort the library
 * @param {{ provider: string, threads: number }} options
 * @returns {import('../protocol.mjs').Contender}
 */
export function contender(name, ort, { provider, threads }) {
  return {
    name,
    detail: `${threads} threads`,
    async prepare(problem, data, task) {
      if (task === 'backward') throw new NotAvailable('cannot train');
      const session = await ort.InferenceSession.create(arrange(problem, data), {
        executionProviders: [provider],
        intraOpNumThreads: threads,
        logSeverityLevel: 3,
      });
      const feeds = { x: new ort.Tensor('float32', data.x, inputShape(problem)) };
      return {
        async run(times) {
          const begin = performance.now();
          for (let i = 0; i < times; i++) (await session.run(feeds)).y.data;
          return { ms: (performance.now() - begin) / times };
        },
        result: async () => [(await session.run(feeds)).y.data],
        release: () => session.release(),
      };
    },
  };
}

/** @param {{ threads: number }} options */
export async function openNode({ threads }) {
  const ort = await import('onnxruntime-node');
  return contender('ort-node', ort, { provider: 'cpu', threads });
}

/** @param {{ threads: number, files?: string }} options files: where a page finds the WebAssembly files */
export async function openWeb({ threads, files }) {
  const ort = files ? await import('onnxruntime-web/wasm') : await import('onnxruntime-web');
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  if (files) ort.env.wasm.wasmPaths = files;
  return contender('ort-web', ort, { provider: 'wasm', threads });
}
