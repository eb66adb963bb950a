/**
 * shape: lists of axis lengths and the pure arithmetic on them: how many elements, at what strides, how two shapes
 * broadcast, which axis `-1` means. A shape is outermost axis first, as everywhere in this field; an axis of length 0
 * is allowed (an empty batch), a fractional or negative one is refused.
 */
import { refuse, show } from './errors.js';

/** Axis lengths, outermost first: `[n, c, h, w]`. `[]` is the shape of a single number. */
export type Shape = readonly number[];

/** One value for all spatial axes, or one per axis. */
export type PerAxis = number | readonly number[];

/** The most elements a tensor may have: the largest index a typed array is sure to take. */
export const MAX_ELEMENTS = 2 ** 32 - 1;

/** Number of elements: the product of the axis lengths; 1 for `[]`. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

/** The numbers below `count`, from 0 on: the axes of a shape, for instance. */
export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** A shape as it is written in messages: `[1, 96, 55, 55]`. */
export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** True when both shapes have the same axes. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** Row-major (C order) strides in elements: `[c·h·w, h·w, w, 1]` for `[n, c, h, w]`. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Strides that repeat the axes along which `from` is broadcast to `to`. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : own[axis - missing]));
}

/** Refuses anything but an array of integers ≥ 0 whose product can be indexed; returns a frozen copy. */
export function checkShape(op: string, argument: string, shape: unknown): Shape {
  if (!Array.isArray(shape))
    refuse(op, argument, `${argument} must be an array of axis lengths, got ${show(shape)}`);
  for (const [axis, length] of shape.entries()) {
    if (!Number.isInteger(length) || length < 0) {
      refuse(op, argument, `${argument} axis ${axis} must be an integer ≥ 0, got ${show(length)}`);
    }
  }
  if (sizeOf(shape) > MAX_ELEMENTS) {
    refuse(op, argument, `${argument} ${showShape(shape)} has more than ${MAX_ELEMENTS} elements`);
  }
  return Object.freeze([...(shape as number[])]);
}

/** The axis that `axis` names among `rank` axes; negative counts from the end. */
export function normaliseAxis(op: string, axis: unknown, rank: number, argument = 'axis'): number {
  if (!Number.isInteger(axis) || (axis as number) < -rank || (axis as number) >= rank) {
    refuse(
      op,
      argument,
      `${argument} must be an integer in [${-rank}, ${rank - 1}] for a tensor of rank ${rank}, got ${show(axis)}`,
    );
  }
  const index = axis as number;
  return index < 0 ? index + rank : index;
}

/** Several axes, each normalised, sorted, none twice. `undefined` means all. */
export function normaliseAxes(
  op: string,
  axes: PerAxis | undefined,
  rank: number,
  argument = 'axis',
): number[] {
  if (axes === undefined) return range(rank);
  const list = [axes].flat().map((axis) => normaliseAxis(op, axis, rank, argument));
  list.sort((a, b) => a - b);
  for (let i = 1; i < list.length; i++) {
    if (list[i] === list[i - 1]) refuse(op, argument, `${argument} names axis ${list[i]} twice`);
  }
  return list;
}

/**
 * The shape two operands have together (NumPy's rule): aligned at the last axis, lengths must be equal or one of them
 * 1; a missing axis counts as 1.
 */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let back = 1; back <= rank; back++) {
    const p = a[a.length - back] ?? 1;
    const q = b[b.length - back] ?? 1;
    if (p !== q && p !== 1 && q !== 1) {
      refuse(
        op,
        'b',
        `shapes ${showShape(a)} and ${showShape(b)} do not broadcast: ${p} against ${q} at axis -${back}`,
      );
    }
    out[rank - back] = p === 1 ? q : p;
  }
  return out;
}

/**
 * One integer per spatial axis out of a number or an array, each at least `least`. Refuses fractions, NaN and arrays
 * of the wrong length.
 */
export function perAxis(op: string, argument: string, value: unknown, rank: number, least: number): number[] {
  const list = Array.isArray(value) ? value : new Array(rank).fill(value);
  if (list.length !== rank) {
    refuse(
      op,
      argument,
      `${argument} needs ${rank} value${rank === 1 ? '' : 's'} (one per spatial axis), got ${show(value)}`,
    );
  }
  for (const entry of list) {
    if (!Number.isInteger(entry) || entry < least) {
      const bound = least === Number.NEGATIVE_INFINITY ? 'an integer' : `an integer ≥ ${least}`;
      refuse(op, argument, `${argument} must be ${bound}, got ${show(value)}`);
    }
  }
  return [...list];
}
