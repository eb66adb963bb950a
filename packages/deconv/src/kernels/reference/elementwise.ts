/** Elementwise kernels: one argument (functions in unary.ts), two arguments with broadcasting, and selection. */
import type { BinaryName, OpTable } from '../../backend.js';
import { broadcastStrides, type Shape, sizeOf, stridesOf } from '../../shape.js';

type Values = ArrayLike<number>;

/** (x[, g]) → f, f′ or f″ of each element [· g]. */
export function unary([x, g]: readonly Values[], { fn, order, parameters }: OpTable['unary']): Float64Array {
  const f = fn.reference[order];
  return Float64Array.from(x, (value, i) => f(value, parameters) * (g?.[i] ?? 1));
}

const BINARY: Readonly<Record<BinaryName, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  maximum: Math.max,
  minimum: Math.min,
  equal: (a, b) => Number(a === b),
  greater: (a, b) => Number(a > b),
  greaterEqual: (a, b) => Number(a >= b),
  prelu: (a, b) => (a > 0 ? a : a * b),
};

/**
 * Calls `visit(position in the view)` for every element of a strided view in row-major order. An odometer: the counter
 * of each axis, the last one turning fastest.
 */
export function eachInView(
  shape: Shape,
  strides: readonly number[],
  offset: number,
  visit: (at: number) => void,
): void {
  const total = sizeOf(shape);
  const counter = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < total; i++) {
    visit(at);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++counter[axis] < shape[axis]) break;
      at -= strides[axis] * shape[axis];
      counter[axis] = 0;
    }
  }
}

/** (a, b) → f(a, b), broadcast. */
export function binary(
  [a, b]: readonly Values[],
  { fn, aShape, bShape, shape }: OpTable['binary'],
): Float64Array {
  const f = BINARY[fn];
  const out = new Float64Array(sizeOf(shape));
  let i = 0;
  eachInView(shape, broadcastStrides(aShape, shape), 0, (at) => {
    out[i++] = a[at];
  });
  i = 0;
  eachInView(shape, broadcastStrides(bShape, shape), 0, (at) => {
    out[i] = f(out[i], b[at]);
    i++;
  });
  return out;
}

/** (condition, a, b) → a where condition ≠ 0, else b. */
export function select([condition, a, b]: readonly Values[]): Float64Array {
  return Float64Array.from(condition, (wanted, i) => (wanted !== 0 ? a[i] : b[i]));
}

/** (x) → reduced over the named axes, from `start` on. */
function reduced(
  [x]: readonly Values[],
  { shape, axes }: OpTable['reduce'],
  start: number,
  join: (a: number, b: number) => number,
): Float64Array {
  const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const out = new Float64Array(sizeOf(kept)).fill(start);
  let i = 0;
  eachInView(shape, broadcastStrides(kept, shape), 0, (at) => {
    out[at] = join(out[at], x[i++]);
  });
  return out;
}

/** (x) → summed over the named axes, in float64. */
export function reduceSum(inputs: readonly Values[], attributes: OpTable['reduce']): Float64Array {
  return reduced(inputs, attributes, 0, BINARY.add);
}

/** (x) → reduced over the named axes. */
export function reduce(inputs: readonly Values[], attributes: OpTable['reduce']): Float64Array {
  if (attributes.fn === 'sum') return reduceSum(inputs, attributes);
  const [start, join] =
    attributes.fn === 'max' ? [Number.NEGATIVE_INFINITY, Math.max] : [Number.POSITIVE_INFINITY, Math.min];
  return reduced(inputs, attributes, start, join);
}

/** (x) → position of the largest element along the axis: the first of equals; a NaN is larger than everything, as in NumPy. */
export function argMax([x]: readonly Values[], { shape, axis }: OpTable['argMax']): Float64Array {
  const kept = shape.map((length, at) => (at === axis ? 1 : length));
  const out = new Float64Array(sizeOf(kept));
  const best = new Float64Array(out.length).fill(Number.NEGATIVE_INFINITY);
  const stride = stridesOf(shape)[axis];
  let i = 0;
  eachInView(shape, broadcastStrides(kept, shape), 0, (at) => {
    const value = x[i];
    if (value > best[at] || (Number.isNaN(value) && !Number.isNaN(best[at]))) {
      best[at] = value;
      out[at] = Math.floor(i / stride) % shape[axis];
    }
    i++;
  });
  return out;
}
