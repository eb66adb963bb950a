/**
 * arithmetic: functions of two tensors that are known to fit each other: what gradients are made of. The operations by which
 * users compute read and check what they are given first (elementwise.ts).
 */
import { record, run } from '../autograd.js';
import type { BinaryName } from '../backend.js';
import * as operation from '../operations.js';
import type { Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { number } from './input.js';
import { sumTo } from './layout.js';

export type Gradients = (
  g: Tensor,
  a: Tensor,
  b: Tensor,
  output: Tensor,
) => readonly [() => Tensor, () => Tensor];
/** Which values the gradients read. */
export type Reads = (a: Tensor, b: Tensor, output: Tensor) => readonly (Tensor | false)[];

export const nothing: Reads = () => [];
/** Of each factor the other one. */
export const factors = (a: Tensor, b: Tensor): (Tensor | false)[] => [
  b.requiresGrad && a,
  a.requiresGrad && b,
];

/** f(a, b), both broadcast to `shape`: if none is given, that of the first, or of the second if the first is a number. */
export function binary(
  fn: BinaryName,
  a: Tensor,
  b: Tensor,
  gradients?: Gradients,
  reads: Reads = (...all) => all,
  shape: Shape = (a.rank > 0 ? a : b).shape,
): Tensor {
  const output = run(operation.binary, [a, b], { fn, aShape: a.shape, bShape: b.shape, shape }, shape);
  if (gradients === undefined) return output;
  const vjp = (g: Tensor, out: Tensor) => {
    const [ga, gb] = gradients(g, a, b, out);
    return [a.requiresGrad ? sumTo(ga(), a.shape) : null, b.requiresGrad ? sumTo(gb(), b.shape) : null];
  };
  return record(fn, output, [a, b], vjp, reads(a, b, output));
}

export const ofProduct: Gradients = (g, a, b) => [() => product(g, b), () => product(g, a)];
export const ofDifference: Gradients = (g) => [() => g, () => product(g, number(-1, g.dtype))];

/** a · b. */
export const product = (a: Tensor, b: Tensor): Tensor => binary('mul', a, b, ofProduct, factors);

/** a − b. */
export const difference = (a: Tensor, b: Tensor): Tensor => binary('sub', a, b, ofDifference, nothing);
