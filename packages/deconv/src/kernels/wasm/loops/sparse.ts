/**
 * Sparse maps along one axis, as products with a matrix given by its rows: resampling and index selection, the adjoints
 * of both, and the means of average pooling, which are one such map per axis since the sum over a box is.
 */
import type { AxisMap, OpTable } from '../../../backend.js';
import type { WindowGeometry } from '../../../geometry/window.js';
import { sizeOf } from '../../../shape.js';
import type { Storage } from '../../../tensor.js';
import { insideOf } from '../band-input.js';
import { repeat, sparseEach, sparseRows } from '../sparse-kernels.js';
import { CALL } from '../vector-kernels.js';
import type { Ground, Loop } from './ground.js';

/** The rows of a matrix, one per output: from `starts[o]` on, the inputs that it sees, each with its weight. */
interface Rows {
  /** One more than there are outputs: the last is where they end. */
  readonly starts: Int32Array;
  readonly inputs: Int32Array;
  readonly weights: Float64Array;
}

/** Where rows of these lengths begin, and where the last ends. */
function startsOf(count: number, length: (o: number) => number): Int32Array {
  const starts = new Int32Array(count + 1);
  for (let o = 0; o < count; o++) starts[o + 1] = starts[o] + length(o);
  return starts;
}

/** The rows of a map. Weights of 0 count for nothing, whatever they meet. */
function rowsOf({ outLength, taps, index, weight }: AxisMap): Rows {
  if (!weight.includes(0)) {
    return { starts: startsOf(outLength, () => taps), inputs: index, weights: weight };
  }
  const starts = new Int32Array(outLength + 1);
  const inputs = new Int32Array(index.length);
  const weights = new Float64Array(index.length);
  let at = 0;
  for (let o = 0; o < outLength; o++) {
    for (let t = o * taps; t < (o + 1) * taps; t++) {
      if (weight[t] === 0) continue;
      inputs[at] = index[t];
      weights[at++] = weight[t];
    }
    starts[o + 1] = at;
  }
  return { starts, inputs: inputs.subarray(0, at), weights: weights.subarray(0, at) };
}

/** The adjoint: rows and columns of the matrix exchanged. */
function transpose({ starts, inputs, weights }: Rows, columns: number): Rows {
  const counts = new Int32Array(columns);
  for (const i of inputs) counts[i]++;
  const out = {
    starts: startsOf(columns, (i) => counts[i]),
    inputs: new Int32Array(inputs.length),
    weights: new Float64Array(inputs.length),
  };
  const next = out.starts.slice();
  for (let o = 0; o + 1 < starts.length; o++) {
    for (let t = starts[o]; t < starts[o + 1]; t++) {
      const at = next[inputs[t]]++;
      out.inputs[at] = o;
      out.weights[at] = weights[t];
    }
  }
  return out;
}

/** The fewest and the most terms of an output. */
function termsOf({ starts }: Rows): readonly [fewest: number, most: number] {
  let [fewest, most] = [Number.POSITIVE_INFINITY, 1];
  for (let o = 0; o + 1 < starts.length; o++) {
    const terms = starts[o + 1] - starts[o];
    fewest = Math.min(fewest, terms);
    most = Math.max(most, terms);
  }
  return [fewest, most];
}

/** How often each of so many inputs comes, one after the other and nothing else; 0 if that is not what a map does. */
function timesOf({ starts, inputs, weights }: Rows, length: number): number {
  const outputs = starts.length - 1;
  const times = outputs / length;
  const plain =
    Number.isInteger(times) &&
    times > 1 &&
    times <= MOST_TIMES &&
    inputs.length === outputs &&
    weights.every((weight, o) => weight === 1 && starts[o] === o && inputs[o] === Math.floor(o / times));
  return plain ? times : 0;
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
  rows: Rows,
  most: number | undefined,
  inputs: number,
  [from, out]: readonly [number, number],
  outer: number,
  inner: number,
): void {
  const { kernels } = ground;
  const { starts } = rows;
  const outputs = starts.length - 1;
  const times = inner === 1 ? timesOf(rows, inputs) : 0;
  if (times > 0) {
    const together = Math.max(1, Math.floor(CALL / outputs));
    kernels.shared(outer * outputs, true, () => {
      for (let r = 0; r < outer; r += together) {
        const place = [out + 4 * r * outputs, from + 4 * r * inputs] as const;
        kernels.call(repeat(times), ...place, Math.min(together, outer - r), inputs);
      }
    });
    return;
  }
  const few = most !== undefined && most <= FEW && termsOf(rows)[0] > 0 ? most : 0;
  const { table, entry } = tableOf(ground, rows, few, 4 * inner);
  // Rows are written in whole vectors: where they are none, the next row must come after.
  const apart = inner === 1 || inner % 4 === 0;
  kernels.shared(apart ? outer * outputs * inner : 0, true, () => {
    if (inner === 1) {
      const together = Math.max(1, Math.floor(CALL / outputs));
      for (let r = 0; r < outer; r += together) {
        const place = [out + 4 * r * outputs, from + 4 * r * inputs, 4 * inputs] as const;
        kernels.call(sparseEach(few), ...place, table, Math.min(together, outer - r), outputs);
      }
      return;
    }
    const together = Math.max(1, Math.floor(CALL / inner));
    for (let block = 0; block < outer; block++) {
      for (let o = 0; o < outputs; o += together) {
        const place = [out + 4 * (block * outputs + o) * inner, from + 4 * block * inputs * inner] as const;
        kernels.call(sparseRows(few), ...place, entry(o), Math.min(together, outputs - o), inner);
      }
    }
  });
}

/**
 * Lays the table that kernels read: see sparse-kernels.ts. Each row gets `few` terms, or as many as it has if that is 0; an input is
 * `bytes` from the next.
 */
function tableOf(ground: Ground, { starts, inputs, weights }: Rows, few: number, bytes: number) {
  const outputs = starts.length - 1;
  const table = ground.residency.room(4 * outputs + 8 * (few > 0 ? few * outputs : inputs.length));
  const { integers, floats } = ground.engine.heap;
  let at = table / 4;
  const put = (input: number, weight: number) => {
    integers[at++] = bytes * input;
    floats[at++] = weight;
  };
  for (let o = 0; o < outputs; o++) {
    const [first, end] = [starts[o], starts[o + 1]];
    integers[at++] = few || end - first;
    // Fewer terms than others have, as at the ends of an upsampling: the first is cut in halves, as often as it takes, and
    // these are summed before anything else, which loses nothing.
    const halves = few > 0 ? few - (end - first) : 0;
    const smallest = weights[first] / 2 ** halves;
    if (halves > 0) put(inputs[first], smallest);
    for (let i = 0; i < halves; i++) put(inputs[first], smallest * 2 ** i);
    for (let t = halves > 0 ? first + 1 : first; t < end; t++) put(inputs[t], weights[t]);
  }
  /** Where a row of the table begins. */
  const entry = (o: number) => table + 4 * o + 8 * (few > 0 ? few * o : starts[o]);
  return { table, entry };
}

/** (x) of (outer, axis, inner) → the axis mapped, or the adjoint. */
export const axisMap: Loop<OpTable['axis.map']> = (ground, [x], { outer, inner, map, transposed }) => {
  const { inLength, outLength, taps } = map;
  const forward = rowsOf(map);
  const rows = transposed ? transpose(forward, inLength) : forward;
  const [inputs, outputs] = transposed ? [outLength, inLength] : [inLength, outLength];
  const terms = transposed ? termsOf(rows)[1] : taps;
  const from = ground.at(x);
  const { storage, at } = ground.result(outer * inner * outputs);
  apply(ground, rows, terms, inputs, [from, at], outer, inner);
  return storage;
};

/** Terms along an axis, of all windows together, up to which there is a table of them. */
const MOST_TERMS = 1 << 22;

/** Along one axis: the positions that window o sees, how many, and the first; and how many there are within the padding or, else, the input. */
function windowsOf(w: WindowGeometry, axis: number, countIncludePad: boolean) {
  const [n, k, pad] = [w.inputSize[axis], w.kernelSize[axis], w.padding[axis]];
  const [windows, stride, dilation] = [w.outputSize[axis], w.stride[axis], w.dilation[axis]];
  const seen = (o: number) => insideOf(o * stride - pad, k, n, dilation);
  const counts = new Float64Array(windows);
  for (let o = 0; o < windows; o++) {
    const [, count] = countIncludePad ? insideOf(o * stride, k, n + 2 * pad, dilation) : seen(o);
    counts[o] = count;
  }
  return { windows, n, dilation, seen, counts, many: windows * k > MOST_TERMS };
}
type Windows = ReturnType<typeof windowsOf>;

/** The rows of the sums over windows. */
function sumRows({ windows, dilation, seen }: Windows): Rows {
  const starts = startsOf(windows, (o) => seen(o)[1]);
  const terms = starts[windows];
  const inputs = new Int32Array(terms);
  for (let o = 0; o < windows; o++) {
    const [, count, at] = seen(o);
    for (let t = 0; t < count; t++) inputs[starts[o] + t] = at + t * dilation;
  }
  return { starts, inputs, weights: new Float64Array(terms).fill(1) };
}

/** The sums over windows, or the adjoint, without a table: of windows of thousands it would take more memory than all else. */
function slide(
  { windows, n, dilation, seen }: Windows,
  x: Float32Array,
  out: Float32Array,
  outer: number,
  inner: number,
  adjoint: boolean,
): void {
  const [inputs, outputs] = adjoint ? [windows, n] : [n, windows];
  const sums = new Float64Array(outputs * inner);
  for (let block = 0; block < outer; block++) {
    sums.fill(0);
    for (let o = 0; o < windows; o++) {
      const [, count, at] = seen(o);
      for (let t = 0; t < count; t++) {
        const place = at + t * dilation;
        const from = (block * inputs + (adjoint ? o : place)) * inner;
        const to = (adjoint ? place : o) * inner;
        for (let i = 0; i < inner; i++) sums[to + i] += x[from + i];
      }
    }
    out.set(sums, block * outputs * inner);
  }
}

/** The most positions that a window sees; undefined if one may lie in the padding alone, or step over the input. */
function seenOf(w: WindowGeometry, axis: number): number | undefined {
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
  let plane = Float64Array.of(1);
  for (const { counts } of axes) {
    const wider = new Float64Array(plane.length * counts.length);
    for (const [i, count] of plane.entries())
      wider.set(
        counts.map((n) => count * n),
        i * counts.length,
      );
    plane = wider;
  }
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
    const own = axes[axis];
    const outputs = adjoint ? own.n : own.windows;
    const outer = planes * sizeOf(size.slice(0, axis));
    const inner = sizeOf(size.slice(axis + 1));
    const to = step === w.rank - 1 ? at : ground.residency.room(4 * outer * outputs * inner);
    if (own.many) {
      const [x, out] = [
        ground.floats(from, outer * size[axis] * inner),
        ground.floats(to, outer * outputs * inner),
      ];
      slide(own, x, out, outer, inner, adjoint);
    } else {
      const rows = adjoint ? transpose(sumRows(own), own.n) : sumRows(own);
      const terms = adjoint ? termsOf(rows)[1] : seenOf(w, axis);
      apply(ground, rows, terms, size[axis], [from, to], outer, inner);
    }
    size[axis] = outputs;
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
