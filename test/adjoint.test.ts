/**
 * Pairs of linear maps that must be each other's transpose: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for random x and y. In float64 the two
 * sides agree to rounding; an index wrong by one does not survive this.
 */
import * as deconv from 'deconv';
import {
  avgPool1d,
  avgPool2d,
  coverage,
  div,
  expand,
  fold,
  grad,
  maximum,
  type Shape,
  type Tensor,
  unfold,
} from 'deconv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  convs,
  convTransposes,
  type Geometry,
  geometries,
  mismatch,
  normal,
  toLast,
} from './support/geometry.js';

const BOUND = 1e-12;

/** Both maps and the weight gradient of one geometry, held against each other. */
function checkGeometry(g: Geometry, seed: number): void {
  const [conv, convTranspose] = [convs[g.rank - 1], convTransposes[g.rank - 1]];
  const there = g.options;
  const back = { ...g.options, outputPadding: g.outputPadding };
  const x = normal(g.xShape, seed);
  const w = normal(g.weightShape, seed + 1);
  const ax = conv(x, w, there);
  const y = normal(ax.shape, seed + 2);
  const aty = convTranspose(y, w, back);
  expect(aty.shape).toEqual(x.shape);
  expect(mismatch([ax, y], [x, aty]), 'conv against convTranspose').toBeLessThan(BOUND);

  // The third form: ⟨conv(x, w), y⟩ = ⟨w, weightGrad(x, y)⟩, through the backward pass of either.
  w.requiresGrad = true;
  const [fromConv] = grad(conv(x, w, there), [w], { gradOutput: y });
  expect(mismatch([ax, y], [w, fromConv]), 'conv against its weight gradient').toBeLessThan(BOUND);
  const [fromTranspose] = grad(convTranspose(y, w, back), [w], { gradOutput: x });
  expect(mismatch([aty, x], [w, fromTranspose]), 'convTranspose against its weight gradient').toBeLessThan(
    BOUND,
  );
  w.requiresGrad = false;

  // The same with the channels last, in and out.
  const last = { dataFormat: 'NHWC' } as const;
  expect(mismatch([conv(toLast(x), w, { ...there, ...last }), toLast(y)], [ax, y])).toBeLessThan(BOUND);
  expect(mismatch([convTranspose(toLast(y), w, { ...back, ...last }), toLast(x)], [aty, x])).toBeLessThan(
    BOUND,
  );

  // Averaging divides by the coverage; its transpose divides first and convolves then.
  const average = { ...back, overlap: 'average' } as const;
  const counts = coverage(y.shape.slice(2), {
    kernelSize: g.weightShape.slice(2),
    stride: there.stride,
    dilation: there.dilation,
    padding: there.padding,
    outputPadding: g.outputPadding,
  });
  expect(counts.shape).toEqual(x.shape.slice(2));
  const divided = div(x, expand(maximum(deconv.cast(counts, 'float64'), 1), x.shape));
  const averaged = convTranspose(y, w, average);
  expect(mismatch([averaged, x], [y, conv(divided, w, there)]), 'average').toBeLessThan(BOUND);
  y.requiresGrad = true;
  const [gradInput] = grad(convTranspose(y, w, average), [y], { gradOutput: x });
  expect(mismatch([averaged, x], [y, gradInput]), 'average against its gradient').toBeLessThan(BOUND);
}

describe('convolution, transposed convolution and weight gradient', () => {
  it.each([1, 2, 3])('agree on 200 random geometries of %i axes', (rank) => {
    fc.assert(
      fc.property(geometries(rank), fc.integer({ min: 0, max: 1e6 }), (g, seed) => {
        checkGeometry(g, seed);
      }),
      { numRuns: 200 },
    );
  });
});

/** Holds a linear map against an explicit adjoint, and against the gradient that backward computes. */
function checkPair(
  xShape: Shape,
  map: (x: Tensor) => Tensor,
  adjoint?: (y: Tensor, x: Tensor) => Tensor,
  seed = 0,
): void {
  const x = normal(xShape, seed);
  const ax = map(x);
  const y = normal(ax.shape, seed + 1);
  if (adjoint !== undefined) {
    const aty = adjoint(y, x);
    expect(aty.shape).toEqual(x.shape);
    expect(mismatch([ax, y], [x, aty]), 'adjoint').toBeLessThan(BOUND);
  }
  x.requiresGrad = true;
  const [gradient] = grad(map(x), [x], { gradOutput: y });
  expect(gradient.shape).toEqual(x.shape);
  expect(mismatch([ax, y], [x, gradient]), 'gradient').toBeLessThan(BOUND);
  // The gradient of the gradient of a linear map is the map.
  y.requiresGrad = true;
  const [again] = grad(map(x), [x], { gradOutput: y, createGraph: true });
  const [forward] = grad(again, [y], { gradOutput: x.detach() });
  expect(Array.from(forward.data)).toEqual(Array.from(ax.data));
}

const small = (min: number, max: number) => fc.integer({ min, max });

describe('other linear maps and their transposes', () => {
  it('unfold and fold, 1 to 3 axes', () => {
    const axis = fc
      .record({ k: small(1, 3), s: small(1, 3), d: small(1, 2), p: small(0, 4), more: small(0, 4) })
      .map(({ more, ...a }) => ({ ...a, n: Math.max(1, a.d * (a.k - 1) + 1 - 2 * a.p + more) }));
    const all = fc.array(axis, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(all, small(1, 2), small(1, 3), small(0, 1e6), (axes, batch, channels, seed) => {
        const options = {
          kernelSize: axes.map(({ k }) => k),
          stride: axes.map(({ s }) => s),
          dilation: axes.map(({ d }) => d),
          padding: axes.map(({ p }) => p),
        };
        const space = axes.map(({ n }) => n);
        checkPair(
          [batch, channels, ...space],
          (x) => unfold(x, options),
          (y) => fold(y, { ...options, outputSize: space }),
          seed,
        );
      }),
      { numRuns: 150 },
    );
  });

  it('pixelShuffle and pixelUnshuffle', () => {
    for (const factor of [1, 2, 3]) {
      checkPair(
        [2, 2 * factor ** 2, 3, 2],
        (x) => deconv.pixelShuffle(x, factor),
        (y) => deconv.pixelUnshuffle(y, factor),
      );
    }
  });

  it('upsample: every mode, both conventions, up and down', () => {
    const size = small(1, 9);
    const how = fc.constantFrom<deconv.UpsampleOptions[]>(
      { mode: 'nearest' },
      { mode: 'linear' },
      { mode: 'linear', alignCorners: true },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(size, size), { minLength: 1, maxLength: 3 }), how, (axes, options) => {
        const [from, to] = [axes.map(([n]) => n), axes.map(([, out]) => out)];
        checkPair([1, 2, ...from], (x) => deconv.upsample(x, { ...options, size: to }));
      }),
      { numRuns: 100 },
    );
  });

  it('pad: every mode, more than the axis is long, and negative', () => {
    const mode = fc.constantFrom('constant', 'reflect', 'replicate', 'circular');
    const pair = fc.tuple(small(-2, 9), small(-1, 9));
    fc.assert(
      fc.property(mode, pair, pair, (mode, first, second) => {
        checkPair([2, 3, 4], (x) => deconv.pad(x, [first, second], { mode }));
      }),
      { numRuns: 100 },
    );
  });

  it('average pooling, with ceilMode, padding and both divisors', () => {
    const options = fc.record({
      kernelSize: small(2, 4),
      stride: small(1, 4),
      padding: small(0, 1),
      ceilMode: fc.boolean(),
      countIncludePad: fc.boolean(),
    });
    fc.assert(
      fc.property(options, small(4, 8), (given, n) => {
        checkPair([2, 2, n], (x) => avgPool1d(x, given));
        checkPair([1, 2, n, 5], (x) => avgPool2d(x, given));
      }),
      { numRuns: 60 },
    );
  });

  it('permute, slice, expand, take, flip, concat, sum and matmul', () => {
    const other = normal([2, 1, 4], 9);
    const maps: ((x: Tensor) => Tensor)[] = [
      (x) => deconv.permute(x, [2, 0, 1]),
      (x) => deconv.slice(x, { start: [undefined, 2, -1], end: [undefined, 0], step: [1, -1, -2] }),
      (x) => expand(x, [3, 2, 3, 4]),
      (x) => deconv.take(x, [3, 0, 0, -1], 2),
      (x) => deconv.flip(x, [0, 2]),
      (x) => deconv.concat([x, deconv.zeros([2, 1, 4], { dtype: 'float64' }), x], 1),
      (x) => deconv.sum(x, { axis: [0, 2] }),
      (x) => deconv.mean(x, { axis: 1, keepDims: true }),
      (x) => deconv.matmul(x, deconv.reshape(other, [4, 2])),
      (x) => deconv.matmul(other, deconv.transpose(x)),
      (x) => deconv.mul(x, other),
      (x) => deconv.where(deconv.greater(other, 0), x, 0),
    ];
    for (const map of maps) checkPair([2, 3, 4], map);
    const row = normal([5], 3);
    checkPair(
      [5],
      (x) => expand(x, [2, 3, 5]),
      (y) => deconv.sum(y, { axis: [0, 1] }),
    );
    checkPair([2, 1, 5], (x) => deconv.mul(x, row));
  });
});
