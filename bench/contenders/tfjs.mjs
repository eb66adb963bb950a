/**
 * TensorFlow.js on its WebAssembly or its plain JavaScript backend. It keeps channels last, so its data is arranged
 * that way before any timing. Gradients are the kernels that its own gradient functions call, without the forward pass.
 */
import { count, flops, inputShape, outputShape, outputSize, weightShape } from '../problem.mjs';
import { NotAvailable } from '../protocol.mjs';

/**
 * A copy with the axes in another order.
 *
 * @param {Float32Array} values @param {number[]} shape @param {number[]} order
 */
function permute(values, shape, order) {
  const strides = shape.map((_, axis) => count(shape.slice(axis + 1)));
  const to = new Float32Array(values.length);
  const lengths = order.map((axis) => shape[axis]);
  const steps = order.map((axis) => strides[axis]);
  const at = order.map(() => 0);
  let from = 0;
  for (let i = 0; i < to.length; i++) {
    to[i] = values[from];
    for (let axis = order.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++at[axis] < lengths[axis]) break;
      from -= steps[axis] * lengths[axis];
      at[axis] = 0;
    }
  }
  return { values: to, shape: lengths };
}

/** @param {number[]} shape of an array with the channels second */
const channelsLast = (shape) => [0, ...shape.slice(2).map((_, axis) => axis + 2), 1];

/** @param {number[]} shape of an array with the channels last */
const channelsSecond = (shape) => [0, shape.length - 1, ...shape.slice(2).map((_, axis) => axis + 1)];

// Weights are (…k, in, out) for a convolution, from OI…k, and (…k, out, in) for a transposed one, from IO…k: the same
// permutation either way.
/** @param {number[]} shape */
const kernelFirst = (shape) => [...shape.slice(2).map((_, axis) => axis + 2), 1, 0];

/** @param {number[]} shape */
const kernelLast = (shape) => [shape.length - 1, shape.length - 2, ...shape.slice(2).map((_, axis) => axis)];

const arranged = new WeakMap();

/** What the library is given: everything with the channels last. @param {import('../problem.mjs').Problem} problem @param {import('../problem.mjs').Data} data */
export function arrange(problem, data) {
  if (!arranged.has(data)) {
    const [x, w, y] = [inputShape(problem), weightShape(problem), outputShape(problem)];
    arranged.set(data, {
      x: permute(data.x, x, channelsLast(x)),
      w: permute(data.w, w, kernelFirst(w)),
      g: permute(data.g, y, channelsLast(y)),
    });
  }
  return arranged.get(data);
}

/**
 * @param {import('../problem.mjs').Problem} problem @param {import('../problem.mjs').Task} task
 * @param {'wasm' | 'cpu'} backend
 */
function checkAvailable(problem, task, backend) {
  const { kind, size, d, g } = problem;
  if (g !== 1) throw new NotAvailable('no groups');
  // Its JavaScript weight gradient does some 0.02 GF/s.
  if (task === 'backward' && flops(problem, task) > 5e8)
    throw new NotAvailable('half a minute or more a call');
  if (kind === 'conv') return;
  if (d !== 1) throw new NotAvailable('no dilation');
  if (size.length === 1) throw new NotAvailable('no such operation');
  // Version 4.22 gives mostly zeros for ones times ones with kernel 2 and stride 2; its cpu backend is right.
  if (size.length === 3 && backend === 'wasm') throw new NotAvailable('wrong values');
  if (size.length === 3 && task === 'backward') throw new NotAvailable('no such operation');
}

/**
 * The call to be timed: a list of output tensors, channels last.
 *
 * @param {any} tf
 * @param {import('../problem.mjs').Problem} problem
 * @param {import('../problem.mjs').Task} task
 * @param {{ x: any, w: any, g: any }} tensors
 * @returns {() => any[]}
 */
function callOf(tf, problem, task, { x, w, g }) {
  const { kind, n, ci, co, size, s, p, d } = problem;
  const pad = size.length === 3 ? 'valid' : p; // transposed over three axes it takes no number; only p = 0 is asked for
  const target = [n, ...outputSize(problem), co];
  if (task === 'forward') {
    if (kind === 'conv') return () => [tf.conv2d(x, w, s, pad, 'NHWC', d)];
    if (size.length === 3) return () => [tf.conv3dTranspose(x, w, target, s, pad)];
    // outputPadding is not an option, but the output shape is: what is left over is rounded away.
    return () => [tf.conv2dTranspose(x, w, target, s, pad, 'floor')];
  }
  const filterGradient = (/** @type {any} */ input, /** @type {any} */ dy) =>
    tf
      .engine()
      .runKernel(
        'Conv2DBackpropFilter',
        { x: input, dy },
        { strides: [s, s], pad, dataFormat: 'NHWC', dimRoundingMode: 'floor', filterShape: w.shape },
      );
  if (kind === 'conv') {
    const source = [n, ...size, ci];
    return () => [tf.conv2dTranspose(g, w, source, s, pad, 'floor'), filterGradient(x, g)];
  }
  return () => [tf.conv2d(g, w, s, pad, 'NHWC', d, 'floor'), filterGradient(g, x)];
}

/**
 * @param {'wasm' | 'cpu'} backend
 * @param {any} tf the library, with the backend registered
 * @param {string} detail
 * @returns {import('../protocol.mjs').Contender}
 */
function contender(backend, tf, detail) {
  return {
    name: `tfjs-${backend}`,
    detail,
    async prepare(problem, data, task) {
      if (task === 'backward' && !tf.getKernel('Conv2DBackpropFilter', backend)) {
        throw new NotAvailable('cannot train convolutions');
      }
      checkAvailable(problem, task, backend);
      await tf.setBackend(backend);
      const given = arrange(problem, data);
      const make = (/** @type {{ values: Float32Array, shape: number[] }} */ { values, shape }) =>
        tf.tensor(values, shape);
      const tensors = { x: make(given.x), w: make(given.w), g: make(given.g) };
      const call = callOf(tf, problem, task, tensors);
      return {
        async run(times) {
          await tf.setBackend(backend);
          const begin = performance.now();
          for (let i = 0; i < times; i++) {
            for (const output of call()) {
              output.dataSync();
              output.dispose();
            }
          }
          return { ms: (performance.now() - begin) / times };
        },
        async result() {
          await tf.setBackend(backend);
          return call().map((output, which) => {
            const order = which === 1 ? kernelLast(output.shape) : channelsSecond(output.shape);
            const { values } = permute(output.dataSync(), output.shape, order);
            output.dispose();
            return values;
          });
        },
        release: () => tf.dispose(tensors),
      };
    },
  };
}

/** A CommonJS module in Node, an ES module in a bundle. @param {any} module */
const contents = (module) => module.default ?? module;

/** @param {{ threads: number, files?: string }} options files: where a page finds the WebAssembly files */
export async function openWasm({ threads, files }) {
  const tf = contents(await import('@tensorflow/tfjs-core'));
  const wasm = contents(await import('@tensorflow/tfjs-backend-wasm'));
  if (files) {
    wasm.setWasmPaths(files);
    wasm.setThreadsCount(threads);
  }
  await tf.setBackend('wasm');
  await tf.ready();
  // In Node its WebAssembly backend has one thread; in a page at most half of the processors, whatever is asked for.
  const count = files ? wasm.getThreadsCount() : 1;
  return contender('wasm', tf, count === 1 ? '1 thread, its limit here' : `${count} threads`);
}

/** The plain JavaScript backend. */
export async function openCpu() {
  const tf = contents(await import('@tensorflow/tfjs-core'));
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  await tf.ready();
  return contender('cpu', tf, '1 thread');
}
