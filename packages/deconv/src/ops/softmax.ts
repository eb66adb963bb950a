/** softmax: probabilities along an axis, and their logarithm, without overflow. */
import { record, run } from '../autograd.js';
import * as operation from '../operations.js';
import { normaliseAxis, sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { mul, sub } from './elementwise.js';
import { asFloat } from './input.js';
import { sum } from './reduce.js';

function along(
  op: string,
  x: Tensor,
  axis: number,
  log: boolean,
): { input: Tensor; output: Tensor; at: number } {
  const input = asFloat(op, 'x', x);
  const at = normaliseAxis(op, axis, input.rank);
  const attributes = {
    outer: sizeOf(input.shape.slice(0, at)),
    length: input.shape[at],
    inner: sizeOf(input.shape.slice(at + 1)),
    log,
  };
  return { input, output: run(operation.softmax, [input], attributes, input.shape), at };
}

/**
 * eˣ / Σeˣ along an axis. Gradient: y·(g − Σg·y).
 *
 * @example
 * ```ts
 * import { softmax, tensor } from 'deconv';
 * console.log(softmax(tensor([0, 0]), 0).toArray()); // [ 0.5, 0.5 ]
 * ```
 */
export function softmax(x: Tensor, axis = -1): Tensor {
  const { input, output, at } = along('softmax', x, axis, false);
  const vjp = (g: Tensor, y: Tensor) => [mul(y, sub(g, sum(mul(g, y), { axis: at, keepDims: true })))];
  return record('softmax', output, [input], vjp, [output]);
}

/** ln softmax(x) along an axis. Gradient: g − softmax(x)·Σg. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  const { input, output, at } = along('logSoftmax', x, axis, true);
  const vjp = (g: Tensor) => [sub(g, mul(softmax(input, at), sum(g, { axis: at, keepDims: true })))];
  return record('logSoftmax', output, [input], vjp, [input]);
}
