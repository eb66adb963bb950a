/**
 * channels: the two maps that normalisations and their gradients are made of. They see an array as (outer, channels,
 * inner) and work with one number per channel:
 *
 *     affine   (x − m)·f + t [+ (y − n)·g]
 *     dot      Σ (x − m)·(y − n), over outer and inner
 *
 * Each reads its arrays once. Together with plain sums they are closed under differentiation: affine is linear in all but
 * the products (x, f), (m, f), and the gradient of a factor is a dot; the gradients of a dot are affine.
 */
import { record, run } from '../autograd.js';
import type { Channels } from '../backend.js';
import * as operation from '../operations.js';
import { sizeOf } from '../shape.js';
import { allocate, scoped, type Tensor } from '../tensor.js';
import { mul, sub } from './elementwise.js';
import { fromValues } from './input.js';
import { reshape } from './layout.js';
import { sum } from './reduce.js';

/** One of the products of {@link affine}: (values − mean)·factor, mean and factor of shape (channels). */
export interface Product {
  readonly values: Tensor;
  /** Default 0. */
  readonly mean?: Tensor | undefined;
  readonly factor: Tensor;
}

/** The sum of each channel, shape (channels). */
export function channelSum(x: Tensor, c: Channels): Tensor {
  return scoped(() => sum(reshape(x, [c.outer, c.channels, c.inner]), [0, 2]));
}

const none = (like: Tensor, c: Channels): Tensor =>
  fromValues(allocate(like.dtype, c.channels), [c.channels]);

/** Σ (x − xMean)·(y − yMean) over outer and inner; shape (channels). Means of shape (channels), 0 where left out. */
export function channelDot(
  c: Channels,
  x: Tensor,
  xMean: Tensor | undefined,
  y: Tensor,
  yMean: Tensor | undefined,
): Tensor {
  const zero = none(x, c);
  const [m, n] = [xMean ?? zero, yMean ?? zero];
  const output = run(operation.channelDot, [x, m, y, n], c, [c.channels]);
  const count = c.outer * c.inner;
  /** Gradient of one mean: −g·Σ (other − its mean). */
  const ofMean = (g: Tensor, other: Tensor, mean: Tensor) =>
    mul(mul(g, -1), sub(channelSum(other, c), mul(mean, count)));
  const vjp = (g: Tensor) => [
    x.requiresGrad ? affine(c, x.shape, { values: y, mean: n, factor: g }) : null,
    m.requiresGrad ? ofMean(g, y, n) : null,
    y.requiresGrad ? affine(c, y.shape, { values: x, mean: m, factor: g }) : null,
    n.requiresGrad ? ofMean(g, x, m) : null,
  ];
  return record('channelDot', output, [x, m, y, n], vjp, [x, m, y, n]);
}

/**
 * (x − m)·f + t, and a second product added if there is one, channel by channel.
 *
 * @param c `relu`: results are at least 0, and have no gradient
 * @param shape of the result, whose elements are those of the values
 * @param term shape (channels); 0 where left out
 */
export function affine(
  c: Channels & { readonly relu?: boolean },
  shape: readonly number[],
  first: Product,
  term?: Tensor,
  second?: Product,
): Tensor {
  const zero = none(first.values, c);
  const products = second === undefined ? [first] : [first, second];
  const operands = products.flatMap(({ values, mean, factor }) => [values, mean ?? zero, factor]);
  const t = term ?? zero;
  const inputs = [...operands.slice(0, 3), t, ...operands.slice(3)];
  const output = run(operation.channelAffine, inputs, c, shape);
  if (c.relu) return output;
  const vjp = (g: Tensor) => {
    const total = [t, ...products.map(({ mean }) => mean)].some((x) => x?.requiresGrad)
      ? channelSum(g, c)
      : undefined;
    const ofProduct = ({ values, mean, factor }: Product): (Tensor | null)[] => [
      values.requiresGrad ? affine(c, values.shape, { values: g, factor }) : null,
      mean?.requiresGrad && total ? mul(mul(factor, -1), total) : null,
      factor.requiresGrad ? channelDot(c, g, undefined, values, mean) : null,
    ];
    const [before, ...after] = products.map(ofProduct);
    return [...before, t.requiresGrad && total ? total : null, ...after.flat()];
  };
  const reads = products.flatMap(({ values, mean, factor }) => [
    factor.requiresGrad && values,
    factor.requiresGrad && mean !== undefined && mean,
    factor,
  ]);
  return record('channelAffine', output, inputs, vjp, reads);
}

/** How many numbers share one mean: outer · inner. */
export const countOf = ({ outer, inner }: Channels): number => outer * inner;

/** An array as batch normalisation sees it: (N, C, …) as (N, C, space). */
export function byChannel(shape: readonly number[]): Channels {
  return { outer: shape[0], channels: shape[1], inner: sizeOf(shape.slice(2)) };
}
