/** input: what every operation does first: makes sure that its arguments are tensors of the right kind. */

import { currentBackend } from '../backends.js';
import { refuse, show } from '../errors.js';
import type { Shape } from '../shape.js';
import { convert, type DType, dtypeOf, HostStorage, Tensor, type TypedArray } from '../tensor.js';

/** Uploads values just made; the array is taken over. */
export function fromValues(values: TypedArray, shape: Shape): Tensor {
  return new Tensor(currentBackend().upload(values), shape);
}

/**
 * The argument as a tensor. A leaf comes back as a snapshot: what an operation keeps for its backward pass must not
 * change when the leaf is assigned to.
 */
export function asTensor(op: string, argument: string, value: unknown): Tensor {
  if (!(value instanceof Tensor)) {
    const hint =
      Array.isArray(value) || dtypeOf(value) !== undefined ? 'wrap it: tensor(values, shape)' : undefined;
    refuse(op, argument, `${argument} must be a tensor, got ${show(value)}`, hint);
  }
  return value.requiresGrad && value.isLeaf ? value.snapshot() : value;
}

/** The argument as a floating-point tensor. */
export function asFloat(op: string, argument: string, value: unknown): Tensor {
  const x = asTensor(op, argument, value);
  if (x.dtype !== 'float32' && x.dtype !== 'float64') {
    refuse(op, argument, `${argument} must be float32 or float64, got ${x.dtype}`, "cast(x, 'float32')");
  }
  return x;
}

/** Refuses tensors of different number types. */
export function sameType(op: string, tensors: Readonly<Record<string, Tensor | undefined>>): void {
  let first: [string, Tensor] | undefined;
  for (const [name, x] of Object.entries(tensors)) {
    if (x === undefined) continue;
    if (first === undefined) first = [name, x];
    else if (x.dtype !== first[1].dtype) {
      refuse(op, name, `${name} is ${x.dtype} but ${first[0]} is ${first[1].dtype}`, 'cast one of them');
    }
  }
}

/** A single number as a tensor of rank 0. */
export function scalar(value: number, dtype: DType): Tensor {
  return new Tensor(new HostStorage(convert(dtype, [value])), []);
}
