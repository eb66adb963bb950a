/**
 * window: operations that look through a sliding window: max pooling with its switches, unpooling, average pooling,
 * unfold (im2col) and fold (col2im).
 *
 * Max pooling is two steps: find the position of each window's maximum (no gradient), then gather the values there.
 * The gradient of gathering is scattering, which is unpooling; so pooling with switches, unpooling, and the gradients
 * of both to any order are the same two operations.
 */
import { record, run } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import { kernelExtent } from '../geometry/axis.js';
import { type WindowGeometry, type WindowOptions, windowGeometry } from '../geometry/window.js';
import * as operation from '../operations.js';
import { type PerAxis, perAxis, sameShape, showShape, sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { asFloat, asTensor } from './input.js';

const POOL_OPTIONS = ['kernelSize', 'stride', 'padding', 'dilation', 'ceilMode'] as const;

/** x[index], plane by plane; indices are flat positions in the plane of x. */
function gather(name: string, x: Tensor, indices: Tensor, space: readonly number[]): Tensor {
  const shape = [...x.shape.slice(0, 2), ...space];
  const attributes = { planes: x.shape[0] * x.shape[1], from: sizeOf(x.shape.slice(2)), to: sizeOf(space) };
  const output = run(operation.planeGather, [x, indices], attributes, shape);
  const places = indices.snapshot();
  return record(name, output, [x], (g) => [scatter(name, g, places, x.shape.slice(2), 'add')], [places]);
}

/** Planes of zeros with x put at the indices. */
function scatter(
  name: string,
  x: Tensor,
  indices: Tensor,
  space: readonly number[],
  mode: 'add' | 'set',
): Tensor {
  const shape = [...x.shape.slice(0, 2), ...space];
  const attributes = {
    planes: x.shape[0] * x.shape[1],
    from: sizeOf(x.shape.slice(2)),
    to: sizeOf(space),
    mode,
  };
  const output = run(operation.planeScatter, [x, indices], attributes, shape);
  const places = indices.snapshot();
  return record(name, output, [x], (g) => [gather(name, g, places, x.shape.slice(2))], [places]);
}

/** What max pooling returns: the maxima, and where they were found. */
export interface MaxPoolResult {
  /** The maximum of each window, (N, C, …out). */
  readonly output: Tensor;
  /** Flat position of each maximum in its channel's input plane, int32, (N, C, …out): the *switches* of unpooling. */
  readonly indices: Tensor;
}

function checkPoolPadding(op: string, w: WindowGeometry): void {
  for (const [axis, padding] of w.padding.entries()) {
    // A window that lies in the padding alone would have no maximum.
    if (2 * padding > kernelExtent(w.kernelSize[axis], w.dilation[axis])) {
      refuse(
        op,
        'padding',
        `padding ${padding} must be ≤ half of the window ${kernelExtent(w.kernelSize[axis], w.dilation[axis])}`,
      );
    }
  }
}

/** Refuses windows whose taps all lie in the padding: with dilation they may step over the whole input. */
function checkWindowsSee(op: string, w: WindowGeometry): void {
  for (const [axis, n] of w.inputSize.entries()) {
    const [k, s, d, p] = [w.kernelSize[axis], w.stride[axis], w.dilation[axis], w.padding[axis]];
    if (d === 1) continue;
    for (let q = 0; q < w.outputSize[axis]; q++) {
      // The first tap u at or after the start of the input: q·s + u·d − p ≥ 0.
      const u = Math.max(0, Math.ceil((p - q * s) / d));
      if (u >= k || q * s + u * d - p >= n) {
        refuse(
          op,
          'padding',
          `window ${q} of axis ${axis} has no tap inside the input: kernelSize ${k}, dilation ${d}, padding ${p}, input ${n}`,
        );
      }
    }
  }
}

function maxPool(op: string, rank: number, x: Tensor, options: WindowOptions): MaxPoolResult {
  const input = asFloat(op, 'input', x);
  checkOptions(op, options, POOL_OPTIONS);
  const w = windowGeometry(op, input.shape, options, rank, 'kernelSize');
  checkPoolPadding(op, w);
  checkWindowsSee(op, w);
  const indices = run(operation.poolArgMax, [input], w, [w.batch, w.channels, ...w.outputSize]);
  const output = gather(op, input, indices, w.outputSize);
  tracer?.('maxPool', [input], [output, indices], { window: w, ceilMode: options.ceilMode ?? false });
  return { output, indices };
}

/** {@link maxPool2d} along one axis. */
export function maxPool1d(input: Tensor, options: WindowOptions): MaxPoolResult {
  return maxPool('maxPool1d', 1, input, options);
}

/**
 * The maximum of each window, and its position. Padding is never chosen; of equals the first is; NaN comes before all.
 *
 * @param input (N, C, H, W)
 * @param options kernelSize, stride (default kernelSize), padding (≤ half the window), dilation, ceilMode
 * @example
 * ```ts
 * import { maxPool2d, maxUnpool2d, tensor } from 'deconv';
 * const x = tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]);
 * const { output, indices } = maxPool2d(x, { kernelSize: 2, stride: 1 });
 * console.log(output.data); // Float32Array(4) [ 5, 6, 8, 9 ]
 * console.log(maxUnpool2d(output, indices, { kernelSize: 2, stride: 1 }).data); // Float32Array(9) [ 0, 0, 0, 0, 5, 6, 0, 8, 9 ]
 * ```
 */
export function maxPool2d(input: Tensor, options: WindowOptions): MaxPoolResult {
  return maxPool('maxPool2d', 2, input, options);
}

/** {@link maxPool2d} over three axes. */
export function maxPool3d(input: Tensor, options: WindowOptions): MaxPoolResult {
  return maxPool('maxPool3d', 3, input, options);
}

/** Options of {@link maxUnpool2d}. */
export interface MaxUnpoolOptions {
  /** Window length of the pooling that is undone. */
  readonly kernelSize: PerAxis;
  /** Step of that pooling. Default: kernelSize. */
  readonly stride?: PerAxis | undefined;
  /** Padding of that pooling. Default 0. */
  readonly padding?: PerAxis | undefined;
  /** Size of the result: spatial sizes or the whole shape. Default (n − 1)·stride + kernelSize − 2·padding. */
  readonly outputSize?: readonly number[] | undefined;
}

function maxUnpool(op: string, rank: number, x: Tensor, switches: Tensor, options: MaxUnpoolOptions): Tensor {
  const input = asFloat(op, 'input', x);
  const indices = asTensor(op, 'indices', switches);
  checkOptions(op, options, ['kernelSize', 'stride', 'padding', 'outputSize']);
  if (input.rank !== rank + 2) {
    refuse(
      op,
      'input',
      `input must have rank ${rank + 2} (batch, channels, …space), got ${showShape(input.shape)}`,
    );
  }
  if (!sameShape(input.shape, indices.shape)) {
    refuse(
      op,
      'indices',
      `indices ${showShape(indices.shape)} must have the shape of the input ${showShape(input.shape)}`,
    );
  }
  if (options?.kernelSize === undefined) refuse(op, 'kernelSize', 'kernelSize is required');
  const kernelSize = perAxis(op, 'kernelSize', options.kernelSize, rank, 1);
  const stride = perAxis(op, 'stride', options.stride ?? kernelSize, rank, 1);
  const padding = perAxis(op, 'padding', options.padding ?? 0, rank, 0);
  const natural = input.shape
    .slice(2)
    .map((n, axis) => (n - 1) * stride[axis] + kernelSize[axis] - 2 * padding[axis]);
  let wanted: readonly number[] = options.outputSize ?? natural;
  if (!Array.isArray(wanted))
    refuse(op, 'outputSize', `outputSize must be an array of sizes, got ${show(wanted)}`);
  if (wanted.length === rank + 2) {
    if (wanted[0] !== input.shape[0] || wanted[1] !== input.shape[1]) {
      refuse(
        op,
        'outputSize',
        `outputSize ${show(wanted)} must start with [${input.shape[0]}, ${input.shape[1]}]`,
      );
    }
    wanted = wanted.slice(2);
  }
  const space = perAxis(op, 'outputSize', [...wanted], rank, 1);
  for (const [axis, size] of space.entries()) {
    if (Math.abs(size - natural[axis]) >= stride[axis]) {
      refuse(
        op,
        'outputSize',
        `outputSize ${size} of axis ${axis} must lie within stride ${stride[axis]} of ${natural[axis]}`,
      );
    }
  }
  const plane = sizeOf(space);
  const outside = (index: number) => !(Number.isInteger(index) && index >= 0 && index < plane);
  const at = indices.storage.dry ? -1 : indices.data.findIndex(outside);
  if (at >= 0) {
    refuse(
      op,
      'indices',
      `indices must be integers in [0, ${plane - 1}] for an output plane of ${space.join('×')}, got ${indices.data[at]}`,
    );
  }
  const output = scatter(op, input, indices, space, 'set');
  tracer?.('maxUnpool', [input, indices], [output], { kernelSize, stride, padding });
  return output;
}

/** {@link maxUnpool2d} along one axis. */
export function maxUnpool1d(input: Tensor, indices: Tensor, options: MaxUnpoolOptions): Tensor {
  return maxUnpool('maxUnpool1d', 1, input, indices, options);
}

/**
 * Puts each value back where {@link maxPool2d} found it; everything else is 0. Where windows overlapped and two values
 * go to one place they are equal, and it is written once.
 *
 * @param input (N, C, H, W)
 * @param indices flat positions in the output plane, same shape as input
 */
export function maxUnpool2d(input: Tensor, indices: Tensor, options: MaxUnpoolOptions): Tensor {
  return maxUnpool('maxUnpool2d', 2, input, indices, options);
}

/** {@link maxUnpool2d} over three axes. */
export function maxUnpool3d(input: Tensor, indices: Tensor, options: MaxUnpoolOptions): Tensor {
  return maxUnpool('maxUnpool3d', 3, input, indices, options);
}

/** Options of {@link avgPool2d}. */
export interface AvgPoolOptions extends WindowOptions {
  /** Divide by the whole window, padding included, rather than by its part inside the input. Default true (PyTorch's). */
  readonly countIncludePad?: boolean | undefined;
}

function averagePool(
  op: string,
  x: Tensor,
  attributes: { window: WindowGeometry; countIncludePad: boolean },
): Tensor {
  const { window: w } = attributes;
  const output = run(operation.poolAverage, [x], attributes, [w.batch, w.channels, ...w.outputSize]);
  return record(op, output, [x], (g) => [averagePoolGrad(op, g, attributes)], []);
}

function averagePoolGrad(
  op: string,
  y: Tensor,
  attributes: { window: WindowGeometry; countIncludePad: boolean },
): Tensor {
  const { window: w } = attributes;
  const output = run(operation.poolAverageGrad, [y], attributes, [w.batch, w.channels, ...w.inputSize]);
  return record(op, output, [y], (g) => [averagePool(op, g, attributes)], []);
}

function avgPool(op: string, rank: number, x: Tensor, options: AvgPoolOptions): Tensor {
  const input = asFloat(op, 'input', x);
  checkOptions(op, options, [...POOL_OPTIONS, 'countIncludePad']);
  const window = windowGeometry(op, input.shape, options, rank, 'kernelSize');
  checkPoolPadding(op, window);
  const countIncludePad = options.countIncludePad ?? true;
  if (typeof countIncludePad !== 'boolean') {
    refuse(op, 'countIncludePad', `countIncludePad must be true or false, got ${show(countIncludePad)}`);
  }
  const output = averagePool(op, input, { window, countIncludePad });
  tracer?.('avgPool', [input], [output], { window, ceilMode: options.ceilMode ?? false, countIncludePad });
  return output;
}

/** {@link avgPool2d} along one axis. */
export function avgPool1d(input: Tensor, options: AvgPoolOptions): Tensor {
  return avgPool('avgPool1d', 1, input, options);
}

/**
 * The mean of each window.
 *
 * @param input (N, C, H, W)
 * @param options kernelSize, stride (default kernelSize), padding, dilation, ceilMode, countIncludePad
 * @example
 * ```ts
 * import { avgPool2d, tensor } from 'deconv';
 * console.log(avgPool2d(tensor([[[[1, 2], [3, 4]]]]), { kernelSize: 2 }).item()); // 2.5
 * ```
 */
export function avgPool2d(input: Tensor, options: AvgPoolOptions): Tensor {
  return avgPool('avgPool2d', 2, input, options);
}

/** {@link avgPool2d} over three axes. */
export function avgPool3d(input: Tensor, options: AvgPoolOptions): Tensor {
  return avgPool('avgPool3d', 3, input, options);
}

/** Options of {@link unfold}. */
export type UnfoldOptions = Omit<WindowOptions, 'ceilMode'>;

const FOLD_OPTIONS = ['kernelSize', 'stride', 'padding', 'dilation'] as const;

function unfoldWindows(x: Tensor, w: WindowGeometry): Tensor {
  const output = run(operation.unfold, [x], w, [
    w.batch,
    w.channels * sizeOf(w.kernelSize),
    sizeOf(w.outputSize),
  ]);
  return record('unfold', output, [x], (g) => [foldWindows(g, w)], []);
}

function foldWindows(columns: Tensor, w: WindowGeometry): Tensor {
  const output = run(operation.fold, [columns], w, [w.batch, w.channels, ...w.inputSize]);
  return record('fold', output, [columns], (g) => [unfoldWindows(g, w)], []);
}

/**
 * Every window as a column (im2col): (N, C, …space) → (N, C·|kernel|, windows), 1 to 3 spatial axes. With the weight as
 * a matrix (O, C·|kernel|), a convolution is one matrix product.
 *
 * @example
 * ```ts
 * import { tensor, unfold } from 'deconv';
 * console.log(unfold(tensor([[[1, 2, 3]]]), { kernelSize: 2 }).toArray()); // [ [ [ 1, 2 ], [ 2, 3 ] ] ]
 * ```
 */
export function unfold(input: Tensor, options: UnfoldOptions): Tensor {
  const x = asFloat('unfold', 'input', input);
  checkOptions('unfold', options, FOLD_OPTIONS);
  if (x.rank < 3 || x.rank > 5) {
    refuse('unfold', 'input', `input must be (N, C, …1 to 3 spatial axes), got ${showShape(x.shape)}`);
  }
  return unfoldWindows(x, windowGeometry('unfold', x.shape, options, x.rank - 2, 'one'));
}

/** Options of {@link fold}. */
export interface FoldOptions extends UnfoldOptions {
  /** Spatial size of the result, per axis. */
  readonly outputSize: readonly number[];
}

/**
 * Columns laid back as windows, overlaps added (col2im): (N, C·|kernel|, windows) → (N, C, …outputSize). The adjoint of
 * {@link unfold}, not its inverse: dividing by the coverage gives that.
 *
 * @throws DeconvError when rows do not divide by the kernel or the number of windows is not outputSize's
 */
export function fold(columns: Tensor, options: FoldOptions): Tensor {
  const op = 'fold';
  const x = asFloat(op, 'columns', columns);
  checkOptions(op, options, [...FOLD_OPTIONS, 'outputSize']);
  const { outputSize, ...windows } = options ?? {};
  if (!Array.isArray(outputSize) || outputSize.length < 1 || outputSize.length > 3) {
    refuse(op, 'outputSize', `outputSize must be an array of 1 to 3 sizes, got ${show(outputSize)}`);
  }
  const rank = outputSize.length;
  const space = perAxis(op, 'outputSize', outputSize, rank, 1);
  if (x.rank !== 3)
    refuse(op, 'columns', `columns must be (N, C·|kernel|, windows), got ${showShape(x.shape)}`);
  const taps = sizeOf(perAxis(op, 'kernelSize', windows.kernelSize, rank, 1));
  if (x.shape[1] % taps !== 0)
    refuse(op, 'columns', `rows ${x.shape[1]} must divide by the kernel's ${taps} taps`);
  const w = windowGeometry(op, [x.shape[0], x.shape[1] / taps, ...space], windows, rank, 'one');
  if (x.shape[2] !== sizeOf(w.outputSize)) {
    refuse(
      op,
      'columns',
      `columns must hold ${w.outputSize.join('×')} = ${sizeOf(w.outputSize)} windows, got ${x.shape[2]}`,
    );
  }
  return foldWindows(x, w);
}
