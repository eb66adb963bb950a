/**
 * layout: operations that move values and compute nothing: reshape, permute, expand, slice, flip, pad, concat, and
 * index selection. Almost all are one strided view, read or written; reading and writing are each other's gradient.
 */
import { record, run } from '../autograd.js';
import type { AxisMap, StridedView } from '../backend.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import * as operation from '../operations.js';
import {
  broadcastStrides,
  checkShape,
  normaliseAxes,
  normaliseAxis,
  type PerAxis,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
} from '../shape.js';
import { DTYPES, type DType, dtypeOf, scoped, Tensor, type TypedArray } from '../tensor.js';
import { tracer } from '../trace.js';
import { asTensor } from './input.js';

/** The elements of a view of x, in the view's shape. Gradient: the view written into zeros. */
function readView(name: string, x: Tensor, view: StridedView): Tensor {
  const output = run(operation.stridedRead, [x], view, view.shape);
  return record(name, output, [x], (g) => [writeView(name, g, view, x.shape, 'add', 0)], []);
}

/** A tensor of `fill` with x written into a view of it. Gradient: the view read. */
function writeView(
  name: string,
  x: Tensor,
  view: StridedView,
  shape: Shape,
  mode: 'add' | 'set',
  fill: number,
): Tensor {
  const output = run(operation.stridedWrite, [x], { ...view, length: sizeOf(shape), mode, fill }, shape);
  return record(name, output, [x], (g) => [readView(name, g, view)], []);
}

/**
 * x repeated to `shape`: `kept` is the shape of x, with an axis of length 1 for each that it is repeated along. Gradient: the
 * sum over these.
 */
function repeat(name: string, x: Tensor, kept: Shape, shape: Shape): Tensor {
  const view = { shape, strides: broadcastStrides(kept, shape), offset: 0 };
  return record(
    name,
    run(operation.stridedRead, [x], view, shape),
    [x],
    (g) => [sumOver(name, g, kept, x.shape)],
    [],
  );
}

/**
 * x summed over the axes along which `kept`, aligned with its last axes, has length 1; given the shape `shape`, of as many
 * elements as `kept`. Gradient: repeated along these.
 */
export function sumOver(name: string, x: Tensor, kept: Shape, shape: Shape): Tensor {
  const missing = x.rank - kept.length;
  const axes = x.shape.flatMap((_, axis) => (axis < missing || kept[axis - missing] === 1 ? [axis] : []));
  const output = run(operation.reduceSum, [x], { fn: 'sum', shape: x.shape, axes }, shape);
  return record(name, output, [x], (g) => [repeat(name, g, kept, x.shape)], []);
}

/**
 * The same values in another shape of as many elements; one axis may be −1 and is worked out. No copy is made.
 *
 * @example
 * ```ts
 * import { arange, reshape } from 'deconv';
 * console.log(reshape(arange(6), [2, -1]).toArray()); // [ [ 0, 1, 2 ], [ 3, 4, 5 ] ]
 * ```
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const input = asTensor('reshape', 'x', x);
  if (!Array.isArray(shape)) refuse('reshape', 'shape', `shape must be an array, got ${show(shape)}`);
  const unknown = shape.indexOf(-1);
  const wanted = [...shape];
  if (unknown >= 0) {
    const rest = sizeOf(shape.filter((_, axis) => axis !== unknown));
    if (shape.lastIndexOf(-1) !== unknown || rest === 0 || input.size % rest !== 0) {
      refuse(
        'reshape',
        'shape',
        `shape ${showShape(shape)} has no single whole value for -1 with ${input.size} elements`,
      );
    }
    wanted[unknown] = input.size / rest;
  }
  const axes = checkShape('reshape', 'shape', wanted);
  if (sizeOf(axes) !== input.size) {
    refuse(
      'reshape',
      'shape',
      `shape ${showShape(axes)} holds ${sizeOf(axes)} values, the tensor has ${input.size}`,
    );
  }
  const output = new Tensor(input.storage, axes);
  tracer?.('reshape', [input], [output], { shape });
  return record('reshape', output, [input], (g) => [reshape(g, input.shape)], []);
}

/**
 * The axes in another order: axis i of the result is axis `order[i]` of x.
 *
 * @example
 * ```ts
 * import { permute, zeros } from 'deconv';
 * console.log(permute(zeros([1, 3, 5, 7]), [0, 2, 3, 1]).shape); // [ 1, 5, 7, 3 ]
 * ```
 */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  const input = asTensor('permute', 'x', x);
  const axes = Array.isArray(order)
    ? order.map((axis) => normaliseAxis('permute', axis, input.rank, 'order'))
    : [];
  if (axes.length !== input.rank || new Set(axes).size !== input.rank) {
    refuse('permute', 'order', `order must name each of ${input.rank} axes once, got ${show(order)}`);
  }
  return permuted(input, axes);
}

/** {@link permute} of a tensor that has these axes. */
export function permuted(x: Tensor, order: readonly number[]): Tensor {
  const own = stridesOf(x.shape);
  const shape = order.map((axis) => x.shape[axis]);
  const view = { shape, strides: order.map((axis) => own[axis]), offset: 0 };
  const back = order.map((_, axis) => order.indexOf(axis));
  const values = run(operation.stridedRead, [x], view, shape);
  const output = record('permute', values, [x], (g) => [permuted(g, back)], []);
  tracer?.('permute', [x], [output], { order });
  return output;
}

/** Two axes exchanged; by default the last two (a matrix transposed). */
export function transpose(x: Tensor, a = -2, b = -1): Tensor {
  const input = asTensor('transpose', 'x', x);
  const order = input.shape.map((_, axis) => axis);
  const [p, q] = [
    normaliseAxis('transpose', a, input.rank, 'a'),
    normaliseAxis('transpose', b, input.rank, 'b'),
  ];
  [order[p], order[q]] = [q, p];
  return permute(x, order);
}

/**
 * x repeated along its axes of length 1 (and along new axes in front) to `shape`.
 *
 * @example
 * ```ts
 * import { expand, tensor } from 'deconv';
 * console.log(expand(tensor([1, 2]), [2, 2]).toArray()); // [ [ 1, 2 ], [ 1, 2 ] ]
 * ```
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  const input = asTensor('expand', 'x', x);
  const axes = checkShape('expand', 'shape', shape);
  const missing = axes.length - input.rank;
  if (missing < 0 || input.shape.some((length, axis) => length !== 1 && length !== axes[axis + missing])) {
    refuse(
      'expand',
      'shape',
      `a tensor of shape ${showShape(input.shape)} cannot be repeated to ${showShape(axes)}`,
    );
  }
  if (sameShape(input.shape, axes)) return input.share();
  const output = repeat('expand', input, input.shape, axes);
  tracer?.('expand', [input], [output], {});
  return output;
}

/** The adjoint of {@link expand}: sums over the axes along which `shape` would be repeated. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : sumOver('sumTo', x, shape, shape);
}

/** Where {@link slice} starts, ends (excluded) and by which step it goes, per axis. */
export interface SliceOptions {
  /** First position per axis; negative counts from the end. Default 0, or the last for a negative step. */
  readonly start?: readonly (number | undefined)[] | undefined;
  /** Position after the last, per axis; negative counts from the end. Default: all. */
  readonly end?: readonly (number | undefined)[] | undefined;
  /** Step per axis, not 0; negative goes backwards. Default 1. */
  readonly step?: readonly (number | undefined)[] | undefined;
}

/**
 * A part of x: per axis the positions start, start + step … before end. Missing entries mean the whole axis; positions
 * beyond the ends are clamped, as in Python.
 *
 * @example
 * ```ts
 * import { arange, slice } from 'deconv';
 * console.log(slice(arange(6), { start: [1], end: [-1], step: [2] }).toArray()); // [ 1, 3 ]
 * ```
 */
export function slice(x: Tensor, options: SliceOptions): Tensor {
  const op = 'slice';
  const input = asTensor(op, 'x', x);
  if (options === undefined) refuse(op, 'options', 'options are required: { start, end, step }');
  checkOptions(op, options, ['start', 'end', 'step']);
  for (const [name, list] of Object.entries(options)) {
    if (list !== undefined && (!Array.isArray(list) || list.length > input.rank)) {
      refuse(op, name, `${name} must be an array of at most ${input.rank} entries, got ${show(list)}`);
    }
    for (const entry of list ?? []) {
      if (entry !== undefined && !Number.isInteger(entry))
        refuse(op, name, `${name} must be integers, got ${show(list)}`);
    }
  }
  const own = stridesOf(input.shape);
  const shape: number[] = [];
  const strides: number[] = [];
  let offset = 0;
  for (const [axis, length] of input.shape.entries()) {
    const step = options.step?.[axis] ?? 1;
    if (step === 0) refuse(op, 'step', `step of axis ${axis} must not be 0`);
    const place = (position: number, low: number, high: number) =>
      Math.min(high, Math.max(low, position < 0 ? position + length : position));
    const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
    const first = options.start?.[axis];
    const last = options.end?.[axis];
    const start = first === undefined ? (step > 0 ? 0 : length - 1) : place(first, low, high);
    const end = last === undefined ? (step > 0 ? length : -1) : place(last, low, high);
    const count = Math.max(0, Math.ceil((end - start) / step));
    shape.push(count);
    strides.push(own[axis] * step);
    if (count > 0) offset += own[axis] * start;
  }
  const output = readView(op, input, { shape, strides, offset: sizeOf(shape) === 0 ? 0 : offset });
  const { start, end, step } = options;
  tracer?.(op, [input], [output], { start, end, step });
  return output;
}

/** x with the named axes reversed; all by default. */
export function flip(x: Tensor, axis?: PerAxis): Tensor {
  const input = asTensor('flip', 'x', x);
  const axes = normaliseAxes('flip', axis, input.rank);
  return slice(x, { step: input.shape.map((_, at) => (axes.includes(at) ? -1 : 1)) });
}

/** How {@link pad} fills. */
export interface PadOptions {
  /**
   * `'constant'`: with `value`; `'reflect'`: mirrored without repeating the edge; `'replicate'`: the edge repeated;
   * `'circular'`: wrapped around. Default `'constant'`.
   */
  readonly mode?: 'constant' | 'reflect' | 'replicate' | 'circular' | undefined;
  /** The constant. Default 0. */
  readonly value?: number | undefined;
}

/** Position in an axis of length n that padding position `at` (outside [0, n) too) repeats. */
function mirrored(at: number, n: number, mode: 'reflect' | 'replicate' | 'circular'): number {
  if (mode === 'replicate') return Math.min(n - 1, Math.max(0, at));
  if (mode === 'circular') return ((at % n) + n) % n;
  const period = Math.max(1, 2 * (n - 1));
  const folded = ((at % period) + period) % period;
  return Math.min(folded, period - folded);
}

/**
 * x with rows added before and after, per axis; negative amounts cut off.
 *
 * @param amounts one `[before, after]` per axis, aligned with the last axes
 * @throws DeconvError when an axis would become negative, or is empty with a mode that copies from it
 * @example
 * ```ts
 * import { pad, tensor } from 'deconv';
 * console.log(pad(tensor([1, 2, 3]), [[1, 2]], { mode: 'reflect' }).toArray()); // [ 2, 1, 2, 3, 2, 1 ]
 * ```
 */
export function pad(
  x: Tensor,
  amounts: readonly (readonly [number, number])[],
  options: PadOptions = {},
): Tensor {
  const op = 'pad';
  const input = asTensor(op, 'x', x);
  checkOptions(op, options, ['mode', 'value']);
  const mode = options.mode ?? 'constant';
  checkName(op, 'mode', mode, ['constant', 'reflect', 'replicate', 'circular']);
  if (options.value !== undefined && mode !== 'constant')
    refuse(op, 'value', `value has no meaning with mode '${mode}'`);
  const value = options.value ?? 0;
  if (typeof value !== 'number') refuse(op, 'value', `value must be a number, got ${show(value)}`);
  const well = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isInteger);
  if (!Array.isArray(amounts) || amounts.length > input.rank || !amounts.every(well)) {
    refuse(
      op,
      'amounts',
      `amounts must be at most ${input.rank} pairs [before, after] of integers, got ${show(amounts)}`,
    );
  }
  const first = input.rank - amounts.length;
  const before = input.shape.map((_, axis) => amounts[axis - first]?.[0] ?? 0);
  const after = input.shape.map((_, axis) => amounts[axis - first]?.[1] ?? 0);
  const shape = input.shape.map((length, axis) => length + before[axis] + after[axis]);
  const bad = shape.findIndex((length) => length < 0);
  if (bad >= 0) {
    refuse(
      op,
      'amounts',
      `axis ${bad} would have ${input.shape[bad]} + ${before[bad]} + ${after[bad]} < 0 elements`,
    );
  }
  const report = (output: Tensor) => tracer?.(op, [input], [output], { before, after, mode, value });
  if (mode !== 'constant') {
    return scoped(() => {
      let output = input.share();
      for (const [axis, length] of input.shape.entries()) {
        if (before[axis] === 0 && after[axis] === 0) continue;
        if (length === 0) refuse(op, 'mode', `mode '${mode}' needs something to copy, axis ${axis} is empty`);
        output = take(
          output,
          Array.from({ length: shape[axis] }, (_, i) => mirrored(i - before[axis], length, mode)),
          axis,
        );
      }
      report(output);
      return output;
    });
  }
  const strides = stridesOf(shape);
  const offset = before.reduce((sum, amount, axis) => sum + Math.max(0, amount) * strides[axis], 0);
  return scoped(() => {
    const kept = slice(input, {
      start: before.map((amount) => Math.max(0, -amount)),
      end: input.shape.map((length, axis) => Math.max(0, length + Math.min(0, after[axis]))),
    });
    const output = writeView(op, kept, { shape: kept.shape, strides, offset }, shape, 'set', value);
    report(output);
    return output;
  });
}

/**
 * Tensors joined along an axis; all other axes must be equal.
 *
 * @example
 * ```ts
 * import { concat, tensor } from 'deconv';
 * console.log(concat([tensor([[1]]), tensor([[2], [3]])], 0).toArray()); // [ [ 1 ], [ 2 ], [ 3 ] ]
 * ```
 */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const op = 'concat';
  if (!Array.isArray(tensors) || tensors.length === 0)
    refuse(op, 'tensors', 'tensors must be a non-empty array of tensors');
  const inputs = tensors.map((x, i) => asTensor(op, `tensors[${i}]`, x));
  const [{ shape: first, dtype, rank }] = inputs;
  const along = normaliseAxis(op, axis, rank);
  for (const [i, x] of inputs.entries()) {
    const fits = x.rank === rank && x.shape.every((length, at) => at === along || length === first[at]);
    if (!fits || x.dtype !== dtype) {
      refuse(
        op,
        'tensors',
        `tensors[${i}] (${x.dtype} ${showShape(x.shape)}) must match tensors[0] (${dtype} ${showShape(first)}) but for axis ${along}`,
      );
    }
  }
  const inner = sizeOf(first.slice(along + 1));
  const lengths = inputs.map((x) => x.shape[along]);
  const shape = first.map((length, at) => (at === along ? lengths.reduce((sum, n) => sum + n, 0) : length));
  const attributes = {
    outer: sizeOf(first.slice(0, along)),
    lengths: lengths.map((length) => length * inner),
  };
  const parts = (g: Tensor) => {
    let start = 0;
    return inputs.map((x, i) => {
      const from = start;
      start += lengths[i];
      if (!x.requiresGrad) return null;
      const at = (position: number) => shape.map((_, other) => (other === along ? position : undefined));
      return slice(g, { start: at(from), end: at(start) });
    });
  };
  return record(op, run(operation.concat, inputs, attributes, shape), inputs, parts, []);
}

/** A sparse matrix applied along one axis; its gradient is the transposed matrix. Used by {@link take} and resampling. */
export function mapAxis(name: string, x: Tensor, axis: number, map: AxisMap, transposed = false): Tensor {
  const outer = sizeOf(x.shape.slice(0, axis));
  const inner = sizeOf(x.shape.slice(axis + 1));
  const length = transposed ? map.inLength : map.outLength;
  const shape = x.shape.map((n, at) => (at === axis ? length : n));
  const output = run(operation.axisMap, [x], { outer, inner, map, transposed }, shape);
  return record(name, output, [x], (g) => [mapAxis(name, g, axis, map, !transposed)], []);
}

/**
 * The named positions along one axis, in the order named; a position may come twice.
 *
 * @example
 * ```ts
 * import { take, tensor } from 'deconv';
 * console.log(take(tensor([10, 20, 30]), [2, 0, 0]).toArray()); // [ 30, 10, 10 ]
 * ```
 */
export function take(x: Tensor, positions: readonly number[] | TypedArray, axis = 0): Tensor {
  const input = asTensor('take', 'x', x);
  const along = normaliseAxis('take', axis, input.rank);
  const inLength = input.shape[along];
  if (!Array.isArray(positions) && dtypeOf(positions) === undefined)
    refuse('take', 'positions', `positions must be an array of integers, got ${show(positions)}`);
  const index = Int32Array.from(positions, (position) => {
    if (!Number.isInteger(position) || position < -inLength || position >= inLength) {
      refuse(
        'take',
        'positions',
        `positions must be integers in [${-inLength}, ${inLength - 1}], got ${show(position)}`,
      );
    }
    return position < 0 ? position + inLength : position;
  });
  const weight = new Float64Array(index.length).fill(1);
  const map = { inLength, outLength: index.length, taps: 1, index, weight };
  const output = mapAxis('take', input, along, map);
  tracer?.('take', [input], [output], { positions: index, axis: along });
  return output;
}

/** The same values in another number type; the gradient is cast back. */
export function cast(x: Tensor, dtype: DType): Tensor {
  const input = asTensor('cast', 'x', x);
  checkName('cast', 'dtype', dtype, DTYPES);
  if (input.dtype === dtype) return input.share();
  const output = run(operation.cast, [input], { dtype }, input.shape);
  if (dtype !== 'float32' && dtype !== 'float64') return output;
  return record('cast', output, [input], (g) => [cast(g, input.dtype)], []);
}

/**
 * (N, C·f², H, W) → (N, C, H·f, W·f): each f² channels become one f×f block of pixels (sub-pixel convolution, Shi et
 * al. 2016, arXiv:1609.05158). `out[n, c, h·f + i, w·f + j] = x[n, c·f² + i·f + j, h, w]`.
 *
 * @example
 * ```ts
 * import { pixelShuffle, tensor } from 'deconv';
 * console.log(pixelShuffle(tensor([1, 2, 3, 4], [1, 4, 1, 1]), 2).data); // Float32Array(4) [ 1, 2, 3, 4 ]
 * ```
 */
export function pixelShuffle(x: Tensor, factor: number): Tensor {
  const input = readShuffle('pixelShuffle', x, factor);
  const [n, channels, h, w] = input.shape;
  if (channels % (factor * factor) !== 0) {
    refuse('pixelShuffle', 'factor', `channels ${channels} must divide by factor² = ${factor * factor}`);
  }
  const c = channels / (factor * factor);
  return scoped(() => {
    const split = reshape(input, [n, c, factor, factor, h, w]);
    const output = reshape(permute(split, [0, 1, 4, 2, 5, 3]), [n, c, h * factor, w * factor]);
    tracer?.('pixelShuffle', [input], [output], { factor });
    return output;
  });
}

/** The way back from {@link pixelShuffle}: (N, C, H·f, W·f) → (N, C·f², H, W). */
export function pixelUnshuffle(x: Tensor, factor: number): Tensor {
  const input = readShuffle('pixelUnshuffle', x, factor);
  const [n, c, height, width] = input.shape;
  if (height % factor !== 0 || width % factor !== 0) {
    refuse('pixelUnshuffle', 'factor', `height ${height} and width ${width} must divide by factor ${factor}`);
  }
  const [h, w] = [height / factor, width / factor];
  return scoped(() => {
    const split = reshape(input, [n, c, h, factor, w, factor]);
    const output = reshape(permute(split, [0, 1, 3, 5, 2, 4]), [n, c * factor * factor, h, w]);
    tracer?.('pixelUnshuffle', [input], [output], { factor });
    return output;
  });
}

function readShuffle(op: string, x: Tensor, factor: number): Tensor {
  const input = asTensor(op, 'x', x);
  if (input.rank !== 4) refuse(op, 'x', `x must be (N, C, H, W), got ${showShape(input.shape)}`);
  if (!Number.isInteger(factor) || factor < 1)
    refuse(op, 'factor', `factor must be an integer ≥ 1, got ${show(factor)}`);
  return input;
}
