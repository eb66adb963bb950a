import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from './adaptive.js';
import { rand, tensor, zeros } from './create.js';
import { allClose } from './elementwise.js';
import { mean } from './reduce.js';
import { avgPool2d } from './window.js';

describe('adaptive average pooling', () => {
  it('by hand: 7 to 3 looks at 0–2, 2–4, 4–6', () => {
    const x = tensor([[[1, 2, 6, 0, 3, 0, 9]]], { dtype: 'float64' });
    expect(adaptiveAvgPool1d(x, 3).toArray()).toEqual([[[3, 3, 4]]]);
  });

  it('windows that divide are ordinary pooling; to 1 it is the mean; to the same size nothing', () => {
    const x = rand([2, 3, 6, 8], { seed: 1 });
    expect(allClose(adaptiveAvgPool2d(x, [3, 2]), avgPool2d(x, { kernelSize: [2, 4] }), 1e-6)).toBe(true);
    expect(allClose(adaptiveAvgPool2d(x, 1), mean(x, { axis: [2, 3], keepDims: true }), 1e-6)).toBe(true);
    expect(adaptiveAvgPool2d(x, [null, 8]).data).toEqual(x.data);
  });

  it('every window is its mean, whatever the sizes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 15 }), (n, out) => {
        const x = rand([1, 1, n], { seed: n, dtype: 'float64' });
        const y = adaptiveAvgPool1d(x, out);
        expect(y.shape).toEqual([1, 1, out]);
        for (let o = 0; o < out; o++) {
          const window = x.data.slice(Math.floor((o * n) / out), Math.ceil(((o + 1) * n) / out));
          expect(y.data[o]).toBeCloseTo(Array.from(window).reduce((a, b) => a + b) / window.length, 12);
        }
      }),
    );
  });

  it('leaves the input alone, also where nothing is to be done', () => {
    const x = rand([1, 1, 4], { seed: 1 });
    const y = adaptiveAvgPool1d(x, 4);
    y.dispose();
    expect(x.data).toHaveLength(4);
    expect(adaptiveAvgPool1d(zeros([0, 2, 4]), 3).shape).toEqual([0, 2, 3]);
  });

  it.each<[string, () => unknown]>([
    ['adaptiveAvgPool2d: outputSize must be an integer ≥ 1, or 2 of them (null: as it is), got 0', () => adaptiveAvgPool2d(zeros([1, 1, 2, 2]), 0)],
    ['adaptiveAvgPool3d: outputSize must be an integer ≥ 1, or 3 of them (null: as it is), got [1, 2]', () => adaptiveAvgPool3d(zeros([1, 1, 2, 2, 2]), [1, 2])],
    ['adaptiveAvgPool1d: outputSize must be an integer ≥ 1, or 1 of them (null: as it is), got undefined', () => adaptiveAvgPool1d(zeros([1, 1, 2]), undefined as never)],
    ['adaptiveAvgPool2d: input must be (batch, channels, …2 spatial axes ≥ 1), got [1, 2, 2]', () => adaptiveAvgPool2d(zeros([1, 2, 2]), 1)],
    ['adaptiveAvgPool1d: input must be (batch, channels, …1 spatial axes ≥ 1), got [1, 2, 0]', () => adaptiveAvgPool1d(zeros([1, 2, 0]), 1)],
    ['adaptiveAvgPool1d: input must be a tensor, got [1]', () => adaptiveAvgPool1d([1] as never, 1)],
  ])('refuses: %s', (text, call) => expect(call).toThrow(text)); // biome-ignore format: a table
});
