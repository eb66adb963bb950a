/**
 * values: what operators need beside the library's operations: tensors from numbers, loops over elements for integer
 * types and for rare functions, and composition.
 */
import { run } from '../autograd.js';
import * as operation from '../operations.js';
import { fromValues } from '../ops/input.js';
import { cast } from '../ops/layout.js';
import { type Shape, sizeOf, stridesOf } from '../shape.js';
import { allocate, type Tensor, type TypedArray } from '../tensor.js';
import type { AxisSlice, Run } from './node.js';
import { type ElementType, heldAs, roundingOf } from './types.js';

/** A tensor of an element type out of numbers already in its range. */
export function tensorOf(type: ElementType, shape: Shape, numbers: ArrayLike<number>): Tensor {
  const values = allocate(heldAs(type), numbers.length);
  values.set(numbers);
  return fromValues(values, shape);
}

/** The same values in a storage of their own. */
export function copyOf(x: Tensor): Tensor {
  return run(operation.cast, [x], { dtype: x.dtype }, x.shape);
}

const peeked = new WeakMap<Tensor, TypedArray>();

/**
 * A copy of the values of a tensor that stays in use: an array that has been handed out may be written to, and an engine would have to
 * fetch it anew each time.
 */
export const valuesOf = ({ storage }: Tensor): TypedArray => (storage.peek?.() ?? storage.host()).slice();

/** The values of a tensor that stays in use, to be read; copied once. */
export function peek(x: Tensor): TypedArray {
  let values = peeked.get(x);
  if (values === undefined) {
    values = valuesOf(x);
    peeked.set(x, values);
  }
  return values;
}

/** f of every element, as an element type. */
export function mapElements(x: Tensor, type: ElementType, f: (x: number) => number): Tensor {
  const source = x.data;
  const round = roundingOf(type);
  const out = allocate(heldAs(type), source.length);
  for (let i = 0; i < out.length; i++) out[i] = round === undefined ? f(source[i]) : round(f(source[i]));
  return fromValues(out, x.shape);
}

/** Flat place in an array of shape `from` of every element of `to`, to which it is broadcast. */
function broadcastPlaces(from: Shape, to: Shape): Int32Array {
  const places = new Int32Array(sizeOf(to));
  let [block, stride] = [1, 1];
  for (let axis = to.length - 1; axis >= 0; axis--) {
    const at = axis - (to.length - from.length);
    const length = at < 0 ? 1 : from[at];
    if (length !== 1) {
      for (let i = 0; i < places.length; i++) places[i] += (Math.floor(i / block) % to[axis]) * stride;
    }
    stride *= length;
    block *= to[axis];
  }
  return places;
}

/** f of every pair of elements, both broadcast to `shape`, as an element type. */
export function zipElements(
  a: Tensor,
  b: Tensor,
  shape: Shape,
  type: ElementType,
  f: (a: number, b: number) => number,
): Tensor {
  const [p, q] = [a.data, b.data];
  const [at, bt] = [broadcastPlaces(a.shape, shape), broadcastPlaces(b.shape, shape)];
  const round = roundingOf(type);
  const out = allocate(heldAs(type), at.length);
  for (let i = 0; i < out.length; i++) {
    const value = f(p[at[i]], q[bt[i]]);
    out[i] = round === undefined ? value : round(value);
  }
  return fromValues(out, shape);
}

/** Applies functions one after the other; what lies between goes as soon as the next is there. */
export function chain(x: Tensor, ...steps: readonly ((x: Tensor) => Tensor)[]): Tensor {
  let current = x;
  for (const step of steps) {
    const next = step(current);
    if (current !== x && next !== current) current.dispose();
    current = next;
  }
  return current;
}

/** Runs something that needs floating point on a tensor of any number type, and brings the result back. */
export function throughFloat(x: Tensor, body: (x: Tensor) => Tensor): Tensor {
  if (x.dtype === 'float32' || x.dtype === 'float64') return body(x);
  return chain(
    x,
    (v) => cast(v, 'float64'),
    body,
    (v) => cast(v, x.dtype),
  );
}

/** Takes a part of an array of `shape`: one strided read. */
export function sliceRun(shape: Shape, slices: readonly AxisSlice[]): Run {
  const own = stridesOf(shape);
  const counts = slices.map(({ count }) => count);
  const view = {
    shape: counts,
    strides: slices.map(({ step }, axis) => step * own[axis]),
    offset: sizeOf(counts) === 0 ? 0 : slices.reduce((sum, { start }, axis) => sum + start * own[axis], 0),
  };
  return ([x]) => [run(operation.stridedRead, [x], view, counts)];
}
