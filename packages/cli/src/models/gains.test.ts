import { conv2d, convTranspose2d, ones, pixelShuffle, randn, type Tensor, tensor, zeros } from 'deconv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ratioOf, shuffledGains, transposedGains } from './gains.js';

/** Σ of the squares of what `outputs` have at places of one residue, in the middle. */
function squaresAt(
  outputs: readonly Tensor[],
  residue: readonly number[],
  stride: readonly number[],
  single: boolean,
): number {
  let sum = 0;
  for (const { shape, data } of outputs) {
    const [, channels, height, width] = shape;
    for (let c = 0; c < channels; c++) {
      const place = (n: number, axis: number) => {
        const middle = Math.floor(n / 2);
        return middle - (middle % stride[axis]) + residue[axis];
      };
      if (single) sum += data[(c * height + place(height, 0)) * width + place(width, 1)] ** 2;
      else {
        for (let y = residue[0]; y < height; y += stride[0])
          for (let x = residue[1]; x < width; x += stride[1]) sum += data[(c * height + y) * width + x] ** 2;
      }
    }
  }
  return Math.sqrt(sum);
}

describe('transposedGains', () => {
  it('are what a constant and an impulse give, phase by phase', () => {
    const geometry = fc.record({
      kernel: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
      stride: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
      dilation: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
      pad: fc.tuple(fc.integer({ min: -2, max: 3 }), fc.integer({ min: -2, max: 3 })),
      seed: fc.nat(1000),
    });
    const property = fc.property(geometry, ({ kernel, stride, dilation, pad, seed }) => {
      const weight = randn([2, 3, ...kernel], { seed });
      const padding = pad.map((before): [number, number] => [before, 0]);
      const run = (x: Tensor) => convTranspose2d(x, weight, { stride, dilation, padding });
      const channel = (i: number, values: Float32Array) => {
        const x = new Float32Array(2 * 24 * 24);
        x.set(values, i * 24 * 24);
        return run(tensor(x, [1, 2, 24, 24]));
      };
      const flat = [0, 1].map((i) => channel(i, new Float32Array(24 * 24).fill(1)));
      const impulse = [0, 1].map((i) =>
        channel(i, new Float32Array(24 * 24).fill(1, 12 * 24 + 12, 12 * 24 + 13)),
      );
      const gains = transposedGains(weight, { stride, dilation, padBefore: pad });
      expect(gains).toHaveLength(stride[0] * stride[1]);
      for (const { residue, flat: f, noise } of gains) {
        expect(f).toBeCloseTo(squaresAt(flat, residue, stride, true), 4);
        expect(noise).toBeCloseTo(squaresAt(impulse, residue, stride, false), 4);
      }
    });
    fc.assert(property, { numRuns: 100, seed: 1 });
  });

  it('by hand: three taps at stride 2', () => {
    const gains = transposedGains(tensor([[[1, 2, 3]]]), { stride: [2], dilation: [1], padBefore: [1] });
    expect(gains).toEqual([
      { residue: [0], taps: 1, flat: 2, noise: 2 },
      { residue: [1], taps: 2, flat: 4, noise: Math.sqrt(10) },
    ]);
  });

  it('finds the phases that nothing reaches', () => {
    const gains = transposedGains(ones([1, 1, 2]), { stride: [3], dilation: [1], padBefore: [0] });
    expect(gains.map(({ taps, flat }) => [taps, flat])).toEqual([[1, 1], [1, 1], [0, 0]]); // biome-ignore format: a table
  });
});

describe('shuffledGains', () => {
  it('are what a constant gives behind a pixel shuffle, its bias too', () => {
    const [weight, bias] = [randn([8, 3, 3, 3], { seed: 1 }), randn([8], { seed: 2 })];
    // A bias is an input that is always 1: one response more.
    const responses = [0, 1, 2].map((i) => {
      const x = new Float32Array(3 * 49).fill(1, i * 49, (i + 1) * 49);
      return pixelShuffle(conv2d(tensor(x, [1, 3, 7, 7]), weight), 2);
    });
    responses.push(pixelShuffle(conv2d(zeros([1, 3, 7, 7]), weight, { bias }), 2));
    for (const { residue, flat, taps } of shuffledGains(weight, bias, 2, true)) {
      expect(flat).toBeCloseTo(squaresAt(responses, residue, [2, 2], true), 4);
      expect(taps).toBe(9);
    }
  });

  it('knows both orders of channels', () => {
    const weight = tensor([1, 2, 3, 4, 10, 20, 30, 40], [8, 1, 1, 1]);
    const flat = (columnsFirst: boolean) =>
      shuffledGains(weight, undefined, 2, columnsFirst).map((gain) => gain.flat ** 2);
    for (const [i, value] of [101, 404, 909, 1616].entries()) expect(flat(true)[i]).toBeCloseTo(value, 6);
    for (const [i, value] of [5, 25, 500, 2500].entries()) expect(flat(false)[i]).toBeCloseTo(value, 6);
  });
});

it('ratioOf is largest to smallest', () => {
  expect([ratioOf([1, 4, 2]), ratioOf([0, 1]), ratioOf([0, 0])]).toEqual([4, Number.POSITIVE_INFINITY, 1]);
});
