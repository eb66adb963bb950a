/** child: loads and runs damaged models, one after the other, and tells its parent about each: see fuzz-onnx.mjs. */
import { configure, DeconvError, tensor } from 'deconv';
import { exportOnnx, loadOnnx } from 'deconv/onnx';
import { exportCases, inputFor } from '../../test/support/export-cases.mjs';
import { mutate } from './mutate.mjs';

/** Larger files are slower to damage, and no different. */
const MOST_BYTES = 40_000;
/** Elements of an input that a damaged model asks for, above which it is only loaded. */
const MOST_ELEMENTS = 1 << 20;

/** Elements that a damaged model makes in all, above which it is only planned: honest work, but no quick one. */
const MOST_MADE = 1 << 24;
/** Elements of outputs above which they are not made again tile by tile. */
const MOST_TILED = 1 << 14;

/** Uniform integers from a seed (Mulberry32). @param {number} seed */
function integers(seed) {
  let state = Math.imul(seed, 0x9e3779b1) | 0;
  return (/** @type {number} */ least, /** @type {number} */ most) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return least + Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (most - least + 1));
  };
}

const corpus = exportCases.flatMap(({ make, shapes, options }) => {
  const module = make();
  module.eval();
  const inputs = shapes.map((shape, i) => inputFor(shape, i));
  const bytes = exportOnnx(module, inputs.length === 1 ? inputs[0] : inputs, options);
  return bytes.length <= MOST_BYTES ? [bytes] : [];
});

/** In tiles a network gives the same, or says why not. @param {import('deconv/onnx').OnnxModel} model @param {Record<string, import('deconv').Tensor>} inputs @param {Record<string, import('deconv').Tensor>} whole @param {number} tile */
async function checkTiles(model, inputs, whole, tile) {
  /** @type {Record<string, import('deconv').Tensor>} */
  let tiled;
  try {
    tiled = await model.run(inputs, { tile });
  } catch (error) {
    if (error instanceof DeconvError) return;
    throw error;
  }
  for (const [name, { shape, data }] of Object.entries(whole)) {
    const values = tiled[name].data;
    if (tiled[name].shape.join() !== shape.join() || !data.every((value, i) => Object.is(value, values[i])))
      throw new Error(`in tiles of ${tile}, '${name}' differs`);
    tiled[name].dispose();
  }
}

/** @param {Uint8Array} bytes @param {number} tile */
async function attempt(bytes, tile) {
  const model = await loadOnnx(bytes);
  /** @type {Record<string, import('deconv').Tensor>} */
  const inputs = {};
  for (const { name, shape } of model.inputs) {
    const lengths = (shape ?? [1, 3, 8, 8]).map((length) =>
      typeof length === 'number' && length >= 0 ? length : 4,
    );
    const size = lengths.reduce((a, b) => a * b, 1);
    if (!(size <= MOST_ELEMENTS)) return 'loaded';
    inputs[name] = tensor(
      Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 101),
      lengths,
    );
  }
  const made = model.summary(inputs).nodes.flatMap(({ shapes }) => shapes);
  const product = (/** @type {readonly number[]} */ shape) => shape.reduce((a, b) => a * b, 1);
  if (made.reduce((sum, shape) => sum + product(shape), 0) > MOST_MADE) return 'loaded';
  const outputs = await model.run(inputs);
  const elements = Object.values(outputs).reduce((sum, { size }) => sum + size, 0);
  if (tile > 0 && elements <= MOST_TILED) await checkTiles(model, inputs, outputs, tile);
  for (const output of Object.values(outputs)) output.dispose();
  return 'ran';
}

const [seed, from, to] = process.argv.slice(2).map(Number);
await configure({ threads: 1 });
for (let i = from; i < to; i++) {
  const integer = integers(seed + i);
  const [one, other] = [corpus[integer(0, corpus.length - 1)], corpus[integer(0, corpus.length - 1)]];
  process.send?.({ begin: i });
  let result;
  let complaint;
  try {
    result = await attempt(mutate(one, other, integer), Math.max(0, integer(-8, 6)));
  } catch (error) {
    result = error instanceof DeconvError ? 'refused' : 'broken';
    if (result === 'broken')
      complaint = error instanceof Error ? (error.stack ?? String(error)) : String(error);
  }
  process.send?.({ end: i, result, complaint, memory: process.memoryUsage.rss() });
}
process.disconnect?.();
