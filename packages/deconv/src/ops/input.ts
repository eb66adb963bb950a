/** input: what every operation does first: makes sure that its arguments are tensors of the right kind. */

import { currentBackend } from '../backends.js';
import { refuse, show } from '../errors.js';
import type { Shape } from '../shape.js';
import {
  convert,
  type DType,
  dtypeOf,
  HostStorage,
  type Recipe,
  Tensor,
  type TypedArray,
} from '../tensor.js';

/** Uploads values just made; the array is taken over. */
export function fromValues(values: TypedArray | Recipe, shape: Shape): Tensor {
  return new Tensor(currentBackend().upload(values), shape);
}

/**
 * The argument as a tensor: a handle of the operation's own. What is kept for the backward pass must not change when
 * the caller assigns to the tensor, nor go when the caller disposes of it. The handle does not hold the values (a node
 * that reads them does), so it is not to be returned: that is what `share()` is for.
 */
export function asTensor(op: string, argument: string, value: unknown): Tensor {
  if (!(value instanceof Tensor)) {
    const hint =
      Array.isArray(value) || dtypeOf(value) !== undefined ? 'wrap it: tensor(values, shape)' : undefined;
    refuse(op, argument, `${argument} must be a tensor, got ${show(value)}`, hint);
  }
  return value.snapshot();
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
  let first: string | undefined;
  for (const name in tensors) {
    const dtype = tensors[name]?.dtype;
    if (dtype === undefined) continue;
    first ??= name;
    const wanted = tensors[first]?.dtype;
    if (dtype !== wanted)
      refuse(op, name, `${name} is ${dtype} but ${first} is ${wanted}`, 'cast one of them');
  }
}

/** A number that stands next to tensors of the number type, as a tensor of rank 0; like {@link asTensor} for the operation's own use. */
export function number(value: number, dtype: DType): Tensor {
  return new Tensor(new HostStorage(convert(dtype, [value])), [], null, false);
}

/** The same of what a user gives. Refuses what an integer type loses. */
export function scalar(op: string, argument: string, value: number, dtype: DType): Tensor {
  const x = number(value, dtype);
  if ((dtype === 'int32' || dtype === 'uint8') && x.data[0] !== value) {
    refuse(op, argument, `${argument} ${show(value)} is not a number of type ${dtype}`, "cast(x, 'float32')");
  }
  return x;
}
