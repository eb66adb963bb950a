/**
 * Reductions. Axes are an attribute in older operator sets and an input in newer ones; none means all, or none at all if
 * the node says so. Reducing nothing gives the neutral element: 0 for sums, 1 for products, −∞ and +∞ for max and min.
 */
import { run as runKernel } from '../../autograd.js';
import * as operation from '../../operations.js';
import { abs, add, clamp, exp, log, mul, neg, sqrt, square, sub } from '../../ops/elementwise.js';
import { cast, flip, reshape } from '../../ops/layout.js';
import { argMax, sum } from '../../ops/reduce.js';
import { type Shape, sizeOf, stridesOf } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { type ElementType, isFloat } from '../types.js';
import { chain, mapElements, tensorOf, throughFloat } from '../values.js';

type Reduce = (x: Tensor, axes: readonly number[], kept: Shape) => Tensor;

const total: Reduce = (x, axes) => sum(x, { axis: axes, keepDims: true });

/** Largest or smallest; the engine's, which has ∓∞ for nothing. */
const extreme =
  (fn: 'max' | 'min'): Reduce =>
  (x, axes, kept) =>
    runKernel(operation.reduce, [x], { fn, shape: x.shape, axes }, kept);

const average: Reduce = (x, axes, kept) => chain(total(x, axes, kept), (v) => mul(v, sizeOf(kept) / x.size));

/** The engine has no product; in float64, element by element. */
const product: Reduce = (x, axes, kept) => {
  const values = x.data;
  const out = new Float64Array(sizeOf(kept)).fill(1);
  const [from, to] = [stridesOf(x.shape), stridesOf(kept)];
  for (let i = 0; i < values.length; i++) {
    let at = 0;
    for (let axis = 0; axis < from.length; axis++)
      if (!axes.includes(axis)) at += (Math.floor(i / from[axis]) % x.shape[axis]) * to[axis];
    out[at] *= values[i];
  }
  return tensorOf(x.dtype === 'float64' ? 'float64' : 'float32', kept, out);
};

const MOST = 3.4e38;

/** ln Σ eˣ = m + ln Σ e^(x−m) with m the largest, which is kept finite. */
const logSumExp: Reduce = (x, axes, kept) => {
  const largest = chain(extreme('max')(x, axes, kept), (v) => clamp(v, { min: -MOST, max: MOST }));
  return chain(
    sub(x, largest),
    exp,
    (v) => total(v, axes, kept),
    log,
    (v) => add(v, largest),
  );
};

/** Axes of a reduction: given, or all, or none. */
function readAxes(node: NodeContext): number[] {
  const rank = node.shape(0).length;
  const given = node.listBoth('axes', 1) ?? [];
  if (given.length > 0) return node.axes(given, rank);
  return node.flag('noop_with_empty_axes', false) ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

/** @param empty what reducing nothing gives for an integer type, where that is not what floats give */
function reduction(f: Reduce, empty?: (type: ElementType) => number): Operator {
  return {
    inputs: [1, 2],
    outputs: 1,
    attributes: ['axes', 'keepdims', 'noop_with_empty_axes'],
    plan(node: NodeContext): Planned {
      const shape = node.shape(0);
      const axes = readAxes(node);
      const kept = shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
      const out = node.flag('keepdims', true) ? kept : shape.filter((_, axis) => !axes.includes(axis));
      const type = node.type(0);
      const nothing = sizeOf(shape) === 0 && !isFloat(type) ? empty?.(type) : undefined;
      return {
        outputs: [{ type, shape: out }],
        run: ([x]) =>
          nothing === undefined
            ? [
                chain(
                  throughFloat(x, (v) => f(v, axes, kept)),
                  (v) => reshape(v, out),
                ),
              ]
            : [tensorOf(type, out, new Array<number>(sizeOf(out)).fill(nothing))],
      };
    },
  };
}

const RANGES: Partial<Readonly<Record<ElementType, readonly [number, number]>>> = {
  bool: [0, 1],
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  uint32: [0, 2 ** 32 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint64: [0, 2 ** 64],
  int64: [-(2 ** 63), 2 ** 63],
};

/** Position of the largest along one axis; of equals the first, or the last if so asked. */
function positions(least: boolean): Operator {
  return {
    inputs: [1, 1],
    outputs: 1,
    attributes: ['axis', 'keepdims', 'select_last_index'],
    plan(node: NodeContext): Planned {
      const shape = node.shape(0);
      const axis = node.axis(node.int('axis', 0), shape.length);
      const last = node.flag('select_last_index', false);
      const length = shape[axis];
      if (length === 0) node.refuse('axis', `axis ${axis} is empty, nothing is the largest`);
      const out = node.flag('keepdims', true)
        ? shape.map((n, at) => (at === axis ? 1 : n))
        : shape.filter((_, at) => at !== axis);
      const float = (x: Tensor) => (x.dtype === 'float32' || x.dtype === 'float64' ? x : cast(x, 'float64'));
      return {
        outputs: [{ type: 'int64', shape: out }],
        run: ([x]) => [
          chain(
            x,
            float,
            (v) => (least ? neg(v) : v),
            (v) => (last ? flip(v, axis) : v),
            (v) => argMax(v, axis),
            (v) => mapElements(v, 'int64', (at) => (last ? length - 1 - at : at)),
            (v) => reshape(v, out),
          ),
        ],
      };
    },
  };
}

export const reductions: Readonly<Record<string, Operator>> = {
  ReduceSum: reduction(total),
  ReduceMean: reduction(average),
  ReduceMax: reduction(extreme('max'), (type) => RANGES[type]?.[0] ?? 0),
  ReduceMin: reduction(extreme('min'), (type) => RANGES[type]?.[1] ?? 0),
  ReduceProd: reduction(product),
  ReduceL1: reduction((x, axes, kept) => chain(x, abs, (v) => total(v, axes, kept))),
  ReduceL2: reduction((x, axes, kept) => chain(x, square, (v) => total(v, axes, kept), sqrt)),
  ReduceLogSum: reduction((x, axes, kept) => chain(total(x, axes, kept), log)),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceSumSquare: reduction((x, axes, kept) => chain(x, square, (v) => total(v, axes, kept))),
  ArgMax: positions(false),
  ArgMin: positions(true),
};
