/**
 * Gradients against central differences in float64: random convolution geometry, then every differentiable name of the
 * public surface, then the gradients of those gradients. A new export must be entered in the lists, one way or the
 * other.
 */
import * as deconv from 'deconv';
import {
  type ConvOptions,
  type ConvTransposeOptions,
  concat,
  grad,
  gradcheck,
  noGrad,
  reshape,
  type Tensor,
} from 'deconv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DIFFERENTIABLE, type Float64Map, NOT_DIFFERENTIABLE } from './support/differentiable.js';
import { convs, convTransposes, geometries, normal, toLast } from './support/geometry.js';

function check(what: string, f: Float64Map, inputs: readonly Tensor[]): void {
  const report = gradcheck(f, inputs, { step: 1e-6 });
  expect(report.ok, `${what}: ${JSON.stringify(report)}`).toBe(true);
}

/**
 * The gradients of f for all inputs as one vector, as a function of the inputs and of the gradient of the output: what
 * it is to differentiate twice.
 */
const gradientOf =
  (f: Float64Map): Float64Map =>
  (...all) => {
    const inputs = all.slice(0, -1);
    const gradOutput = all[all.length - 1];
    const gradients = grad(f(...inputs), inputs, { gradOutput, createGraph: true });
    return concat(gradients.map((g) => reshape(g, [-1])));
  };

function checkTwice(what: string, f: Float64Map, inputs: readonly Tensor[]): void {
  const { shape } = noGrad(() => f(...inputs));
  check(`${what}, second order`, gradientOf(f), [...inputs, normal(shape, 77)]);
}

describe('convolutions on random geometry', () => {
  const variants = fc.record({
    bias: fc.boolean(),
    last: fc.boolean(),
    average: fc.boolean(),
    seed: fc.integer({ min: 0, max: 1e6 }),
  });

  it.each([
    [1, 60],
    [2, 50],
    [3, 20],
  ])('conv and convTranspose over %i axes: input, weight and bias', (rank, numRuns) => {
    fc.assert(
      fc.property(geometries(rank, true), variants, (g, { bias, last, average, seed }) => {
        const there: ConvOptions = last ? { ...g.options, dataFormat: 'NHWC' } : g.options;
        const back: ConvTransposeOptions = {
          ...there,
          outputPadding: g.outputPadding,
          overlap: average ? 'average' : 'sum',
        };
        const place = (t: Tensor) => (last ? toLast(t) : t);
        const biasOf = (channels: number) => (bias ? [normal([channels], seed + 3)] : []);
        const x = normal(g.xShape, seed);
        const w = normal(g.weightShape, seed + 1);
        const y = normal(convs[rank - 1](x, w, g.options).shape, seed + 2);
        const conv: Float64Map = (x, w, bias) => convs[rank - 1](x, w, { ...there, bias });
        const transposed: Float64Map = (y, w, bias) => convTransposes[rank - 1](y, w, { ...back, bias });
        check('conv', conv, [place(x), w, ...biasOf(g.weightShape[0])]);
        check('convTranspose', transposed, [place(y), w, ...biasOf(g.xShape[1])]);
      }),
      { numRuns },
    );
  });

  it('gradients of gradients, for input, weight, bias and the gradient of the output', () => {
    fc.assert(
      fc.property(geometries(1, true), variants, (g, { last, average, seed }) => {
        const there: ConvOptions = last ? { ...g.options, dataFormat: 'NHWC' } : g.options;
        const back: ConvTransposeOptions = {
          ...there,
          outputPadding: g.outputPadding,
          overlap: average ? 'average' : 'sum',
        };
        const place = (t: Tensor) => (last ? toLast(t) : t);
        const x = normal(g.xShape, seed);
        const w = normal(g.weightShape, seed + 1);
        const y = normal(deconv.conv1d(x, w, g.options).shape, seed + 2);
        const conv: Float64Map = (x, w, bias) => deconv.conv1d(x, w, { ...there, bias });
        const transposed: Float64Map = (y, w, bias) => deconv.convTranspose1d(y, w, { ...back, bias });
        checkTwice('conv1d', conv, [place(x), w, normal([g.weightShape[0]], seed + 3)]);
        checkTwice('convTranspose1d', transposed, [place(y), w, normal([g.xShape[1]], seed + 4)]);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the public surface', () => {
  const names = Object.keys(DIFFERENTIABLE);

  it('has every export in exactly one of the lists', () => {
    const listed = [...names, ...Object.values(NOT_DIFFERENTIABLE).flat()];
    expect(listed.sort()).toEqual(Object.keys(deconv).sort());
  });

  it.each(names)('%s: gradients', (name) => {
    for (const [f, ...inputs] of DIFFERENTIABLE[name]) check(name, f, inputs);
  });

  it.each(names)('%s: gradients of gradients', (name) => {
    for (const [f, ...inputs] of DIFFERENTIABLE[name]) checkTwice(name, f, inputs);
  });
});
