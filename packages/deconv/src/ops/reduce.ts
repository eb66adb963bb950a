/** reduce: sums, means, extrema and variances over axes. */
import { record, run } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import * as operation from '../operations.js';
import { normaliseAxes, normaliseAxis, type PerAxis } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { div, equal, mul, square, sub } from './elementwise.js';
import { asFloat, asTensor } from './input.js';
import { expand, reshape, sumOver } from './layout.js';

/** Over what to reduce, and in which form. */
export interface ReduceOptions {
  /** Axis or axes; negative counts from the end. Default: all. */
  readonly axis?: PerAxis | undefined;
  /** Keep the reduced axes with length 1. Default false. */
  readonly keepDims?: boolean | undefined;
}

interface Reduction {
  readonly input: Tensor;
  readonly axes: readonly number[];
  /** Shape with the reduced axes at length 1. */
  readonly kept: readonly number[];
  /** Shape asked for. */
  readonly shape: readonly number[];
  /** Elements that go into each result. */
  readonly count: number;
}

function read(op: string, x: Tensor, options: ReduceOptions | PerAxis | undefined): Reduction {
  const input = asFloat(op, 'x', x);
  const given: ReduceOptions =
    typeof options === 'number' || Array.isArray(options)
      ? { axis: options as PerAxis }
      : ((options ?? {}) as ReduceOptions);
  checkOptions(op, given, ['axis', 'keepDims']);
  const axes = normaliseAxes(op, given.axis, input.rank);
  const kept = input.shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  return {
    input,
    axes,
    kept,
    shape: given.keepDims ? kept : input.shape.filter((_, axis) => !axes.includes(axis)),
    count: axes.reduce((product, axis) => product * input.shape[axis], 1),
  };
}

/** Tells who watches what a reduction made. */
function report(
  fn: 'sum' | 'mean' | 'max' | 'min',
  { input, axes, kept, shape }: Reduction,
  output: Tensor,
): Tensor {
  tracer?.('reduction', [input], [output], { fn, axes, keepDims: kept.length === shape.length });
  return output;
}

/**
 * Sum over axes; 0 for nothing. In float64 inside, whatever the number type.
 *
 * @param options axis or axes, or `{ axis, keepDims }`; default all
 * @example
 * ```ts
 * import { sum, tensor } from 'deconv';
 * console.log(sum(tensor([[1, 2], [3, 4]]), { axis: 0 }).toArray()); // [ 4, 6 ]
 * ```
 */
export function sum(x: Tensor, options?: ReduceOptions | PerAxis): Tensor {
  const reduction = read('sum', x, options);
  const { input, kept, shape } = reduction;
  return report('sum', reduction, sumOver('sum', input, kept, shape));
}

/** Mean over axes; NaN for nothing. */
export function mean(x: Tensor, options?: ReduceOptions | PerAxis): Tensor {
  const reduction = read('mean', x, options);
  return scoped(() => report('mean', reduction, div(sum(x, options), reduction.count)));
}

/**
 * Variance over axes: Σ(x − mean)² / (count − correction).
 *
 * @param options `{ axis, keepDims, correction }`; correction 1 (the default) is the unbiased estimate, 0 the plain one
 */
export function variance(
  x: Tensor,
  options: ReduceOptions & { readonly correction?: number | undefined } = {},
): Tensor {
  checkOptions('variance', options, ['axis', 'keepDims', 'correction']);
  const { correction = 1, ...over } = options;
  if (!Number.isFinite(correction))
    refuse('variance', 'correction', `correction must be a number, got ${show(correction)}`);
  const { count } = read('variance', x, over);
  return scoped(() => {
    const centred = sub(x, mean(x, { axis: over.axis, keepDims: true }));
    return div(sum(square(centred), over), Math.max(0, count - correction));
  });
}

function extremum(fn: 'max' | 'min', x: Tensor, options: ReduceOptions | PerAxis | undefined): Tensor {
  const reduction = read(fn, x, options);
  const { input, axes, kept, shape, count } = reduction;
  if (count === 0) refuse(fn, 'x', `${fn} of no elements has no value`);
  return scoped(() => {
    const output = run(operation.reduce, [input], { fn, shape: input.shape, axes }, kept);
    const recorded = record(fn, output, [input], (g) => {
      // Equals share the gradient evenly.
      const chosen = equal(input, expand(output, input.shape));
      const ties = run(operation.reduceSum, [chosen], { fn: 'sum', shape: input.shape, axes }, kept);
      return [mul(expand(div(g, ties), input.shape), chosen)];
    });
    return report(fn, reduction, reshape(recorded, shape));
  });
}

/** Largest value over axes; NaN if there is one. Equals share the gradient evenly. */
export function max(x: Tensor, options?: ReduceOptions | PerAxis): Tensor {
  return extremum('max', x, options);
}

/** Smallest value over axes; NaN if there is one. Equals share the gradient evenly. */
export function min(x: Tensor, options?: ReduceOptions | PerAxis): Tensor {
  return extremum('min', x, options);
}

/** Position of the largest value along one axis (the first of equals), int32. */
export function argMax(x: Tensor, axis = -1): Tensor {
  const input = asTensor('argMax', 'x', x);
  const along = normaliseAxis('argMax', axis, input.rank);
  if (input.shape[along] === 0) refuse('argMax', 'x', 'argMax of no elements has no value');
  const kept = input.shape.map((length, at) => (at === along ? 1 : length));
  return scoped(() => {
    const position = run(operation.argMax, [input], { shape: input.shape, axis: along }, kept);
    const output = reshape(
      position,
      input.shape.filter((_, at) => at !== along),
    );
    tracer?.('position', [input], [output], { axis: along });
    return output;
  });
}
