/**
 * Sparse maps along one axis, as products with a matrix given by its rows: resampling and index selection, the adjoints
 * of both, and the means of average pooling, which are one such map per axis since the sum over a box is.
 */
import type { OpTable } from '../../../backend.js';
import type { WindowGeometry } from '../../../geometry/window.js';
import { sizeOf } from '../../../shape.js';
import type { Storage } from '../../../tensor.js';
import { repeat, sparseEach, sparseRows } from '../sparse-kernels.js';
import { CALL } from '../vector-kernels.js';
import type { Ground, Loop } from './ground.js';

/** Per output of a map: the inputs it sees, each with its weight. */
type Entries = [input: number, weight: number][][];

const empty = (length: number): Entries => Array.from({ length }, () => []);

/** The adjoint: rows and columns of the matrix exchanged. */
function transpose(entries: Entries, inputs: number): Entries {
  const out = empty(inputs);
  for (const [o, list] of entries.entries()) for (const [i, weight] of list) out[i].push([o, weight]);
  return out;
}

/** The most terms of an output. */
const mostOf = (entries: Entries): number => entries.reduce((n, list) => Math.max(n, list.length), 1);

/** How often each input comes, one after the other and nothing else; 0 if that is not what a map does. */
function timesOf(entries: Entries, inputs: number): number {
  const times = entries.length / inputs;
  const plain = (list: Entries[number], o: number) =>
    list.length === 1 && list[0][0] === Math.floor(o / times) && list[0][1] === 1;
  return Number.isInteger(times) && times > 1 && times <= MOST_TIMES && entries.every(plain) ? times : 0;
}

/** Repetitions for which there are kernels of their own. */
const MOST_TIMES = 8;

/** The most terms per output for which there are kernels of their own. */
const FEW = 4;

/**
 * out (outer, outputs, inner) = the map of the (outer, inputs, inner) floats at `from`. `most` are the most terms that an
 * output can have, undefined where some have none; they decide the kernel, not those that there happen to be, so that a part of
 * a picture gives the same bits as the whole.
 */
function apply(
  ground: Ground,
  entries: Entries,
  most: number | undefined,
  inputs: number,
  [from, out]: readonly [number, number],
  outer: number,
  inner: number,
): void {
  const { kernels } = ground;
  const times = inner === 1 ? timesOf(entries, inputs) : 0;
  if (times > 0) {
    const rows = Math.max(1, Math.floor(CALL / entries.length));
    kernels.shared(outer * entries.length, true, () => {
      for (let r = 0; r < outer; r += rows) {
        const place = [out + 4 * r * entries.length, from + 4 * r * inputs] as const;
        kernels.call(repeat(times), ...place, Math.min(rows, outer - r), inputs);
      }
    });
    return;
  }
  const few = most !== undefined && most <= FEW && entries.every((list) => list.length > 0) ? most : 0;
  const starts: number[] = [];
  const terms = entries.reduce((n, list) => n + (few || list.length), 0);
  const table = ground.residency.room(8 * terms + 4 * entries.length);
  const { integers, floats } = ground.engine.heap;
  let at = table / 4;
  for (const list of entries) {
    starts.push(4 * at);
    const row = [...list];
    // Fewer terms than others have, as at the ends of an upsampling: the first is cut in halves, and these are summed
    // before anything else, which loses nothing.
    while (row.length < few) {
      const [[input, weight]] = row.splice(0, 1);
      row.unshift([input, weight / 2], [input, weight / 2]);
    }
    integers[at++] = row.length;
    for (const [input, weight] of row) {
      integers[at++] = 4 * inner * input;
      floats[at++] = weight;
    }
  }
  const outputs = entries.length;
  // Rows are written in whole vectors: where they are none, the next row must come after.
  const apart = inner === 1 || inner % 4 === 0;
  kernels.shared(apart ? outer * outputs * inner : 0, true, () => {
    if (inner === 1) {
      const rows = Math.max(1, Math.floor(CALL / outputs));
      for (let r = 0; r < outer; r += rows) {
        const place = [out + 4 * r * outputs, from + 4 * r * inputs, 4 * inputs] as const;
        kernels.call(sparseEach(few), ...place, table, Math.min(rows, outer - r), outputs);
      }
      return;
    }
    const rows = Math.max(1, Math.floor(CALL / inner));
    for (let block = 0; block < outer; block++) {
      for (let o = 0; o < outputs; o += rows) {
        const place = [out + 4 * (block * outputs + o) * inner, from + 4 * block * inputs * inner] as const;
        kernels.call(sparseRows(few), ...place, starts[o], Math.min(rows, outputs - o), inner);
      }
    }
  });
}

/** (x) of (outer, axis, inner) → the axis mapped, or the adjoint. Weights of 0 count for nothing, whatever they meet. */
export const axisMap: Loop<OpTable['axis.map']> = (ground, [x], { outer, inner, map, transposed }) => {
  const { inLength, outLength, taps, index, weight } = map;
  let entries = empty(outLength);
  for (let t = 0; t < outLength * taps; t++) {
    if (weight[t] !== 0) entries[Math.floor(t / taps)].push([index[t], weight[t]]);
  }
  let terms = taps;
  if (transposed) {
    entries = transpose(entries, inLength);
    terms = mostOf(entries);
  }
  const from = ground.at(x);
  const { storage, at } = ground.result(outer * inner * entries.length);
  apply(ground, entries, terms, transposed ? outLength : inLength, [from, at], outer, inner);
  return storage;
};

/** Along one axis, per window: the positions it sees; and how many there are within the padding or, else, the input. */
function windowsOf(w: WindowGeometry, axis: number, countIncludePad: boolean) {
  const [n, pad] = [w.inputSize[axis], w.padding[axis]];
  const counts: number[] = [];
  const entries = Array.from({ length: w.outputSize[axis] }, (_, o) => {
    const list: [number, number][] = [];
    let count = 0;
    for (let u = 0; u < w.kernelSize[axis]; u++) {
      const at = o * w.stride[axis] + u * w.dilation[axis] - pad;
      if (at >= 0 && at < n) list.push([at, 1]);
      if (countIncludePad ? at < n + pad : at >= 0 && at < n) count++;
    }
    counts.push(count);
    return list;
  });
  return { entries, counts };
}

/** The most positions that a window sees; undefined if one may lie in the padding alone, or step over the input. */
function termsOf(w: WindowGeometry, axis: number): number | undefined {
  const [k, pad] = [w.kernelSize[axis], w.padding[axis]];
  const dense = w.dilation[axis] === 1 && pad < k;
  return pad <= 0 || dense ? k : undefined;
}

/** Sums over windows one axis after the other; divided by what the windows hold before (the adjoint) or after. */
function average(
  ground: Ground,
  x: Storage,
  { window: w, countIncludePad }: OpTable['pool.average'],
  adjoint: boolean,
): Storage {
  const planes = w.batch * w.channels;
  const axes = w.inputSize.map((_, axis) => windowsOf(w, axis, countIncludePad));
  const windows = sizeOf(w.outputSize);
  const counts = ground.residency.room(4 * windows);
  const divide = (from: number, to: number) =>
    ground.kernels.apply('a/b', 'ab', '11', [to, 4 * windows], planes, windows, [
      [from, 4 * windows],
      [counts, 0],
    ]);
  const size = adjoint ? [...w.outputSize] : [...w.inputSize];
  let from = ground.at(x);
  const { storage, at } = ground.result(planes * sizeOf(adjoint ? w.inputSize : w.outputSize));
  const plane = axes.reduce((all, axis) => all.flatMap((count) => axis.counts.map((n) => count * n)), [1]);
  // A window that sees nothing has the sum 0.
  ground.floats(counts, windows).set(plane.map((count) => Math.max(1, count)));
  if (adjoint) {
    const to = ground.residency.room(4 * planes * windows);
    divide(from, to);
    from = to;
  }
  // In the order in which the array is smaller earlier: shrinking from the front, where rows are long, growing from the back.
  for (let step = 0; step < w.rank; step++) {
    const axis = adjoint ? w.rank - 1 - step : step;
    const entries = adjoint ? transpose(axes[axis].entries, w.inputSize[axis]) : axes[axis].entries;
    const outer = planes * sizeOf(size.slice(0, axis));
    const inner = sizeOf(size.slice(axis + 1));
    const to = step === w.rank - 1 ? at : ground.residency.room(4 * outer * entries.length * inner);
    const terms = adjoint ? mostOf(entries) : termsOf(w, axis);
    apply(ground, entries, terms, size[axis], [from, to], outer, inner);
    size[axis] = entries.length;
    from = to;
  }
  if (!adjoint) divide(at, at);
  return storage;
}

/** (x) → window means. */
export const poolAverage: Loop<OpTable['pool.average']> = (ground, [x], attributes) =>
  average(ground, x, attributes, false);

/** (y) → the adjoint of {@link poolAverage}. */
export const poolAverageGrad: Loop<OpTable['pool.averageGrad']> = (ground, [y], attributes) =>
  average(ground, y, attributes, true);
