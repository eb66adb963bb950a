import { describe, expect, it } from 'vitest';
import { gradcheck } from '../checks.js';
import { full, rand, zeros } from '../ops/create.js';
import { add, mul } from '../ops/elementwise.js';
import { ssim, ssimLoss } from './index.js';

const x = rand([2, 3, 16, 20], { seed: 1, dtype: 'float64' });
const y = rand([2, 3, 16, 20], { seed: 2, dtype: 'float64' });

describe('structural similarity', () => {
  it('1 of a picture with itself, near 0 of noise with other noise, symmetric', () => {
    expect(ssim(x, x).item()).toBeCloseTo(1, 12);
    expect(Math.abs(ssim(x, y).item())).toBeLessThan(0.1);
    expect(ssim(x, y).item()).toBeCloseTo(ssim(y, x).item(), 12);
    expect(ssimLoss(x, y).item()).toBeCloseTo(1 - ssim(x, y).item(), 12);
  });

  it('of flat pictures it is (2ab + c₁) / (a² + b² + c₁)', () => {
    const [a, b] = [
      full([1, 1, 11, 11], 0.2, { dtype: 'float64' }),
      full([1, 1, 11, 11], 0.6, { dtype: 'float64' }),
    ];
    expect(ssim(a, b).item()).toBeCloseTo((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), 10);
  });

  it('dataRange scales with the values', () => {
    const grown = ssim(mul(x, 255), mul(y, 255), { dataRange: 255 }).item();
    expect(grown).toBeCloseTo(ssim(x, y).item(), 10);
  });

  it('a window of 1 compares pixel by pixel: brightness alone', () => {
    const map = ssim(x, add(x, 0.5), { windowSize: 1, reduction: 'none' });
    const [a, b] = [x.data[0], x.data[0] + 0.5];
    expect(map.data[0]).toBeCloseTo((2 * a * b + 1e-4) / (a * a + b * b + 1e-4), 10);
  });

  it('reductions', () => {
    const map = ssimLoss(x, y, { reduction: 'none' });
    expect(map.shape).toEqual([2, 3, 6, 10]);
    const total = Array.from(map.data).reduce((a, b) => a + b, 0);
    expect(ssimLoss(x, y, { reduction: 'sum' }).item()).toBeCloseTo(total, 9);
    expect(ssimLoss(x, y).item()).toBeCloseTo(total / map.size, 12);
  });

  it('has the gradient that differences say', () => {
    const [a, b] = [
      rand([1, 1, 5, 6], { seed: 3, dtype: 'float64' }),
      rand([1, 1, 5, 6], { seed: 4, dtype: 'float64' }),
    ];
    const report = gradcheck((p, q) => ssimLoss(p, q, { windowSize: 3 }), [a, b], { step: 1e-6 });
    expect(report.ok, JSON.stringify(report)).toBe(true);
  });

  it.each<[string, () => unknown]>([
    ['ssimLoss: input must be (N, C, H, W) with H and W ≥ windowSize 11, got [1, 1, 8, 20]', () => ssimLoss(zeros([1, 1, 8, 20]), zeros([1, 1, 8, 20]))],
    ['ssim: input must be (N, C, H, W)', () => ssim(zeros([20, 20]), zeros([20, 20]))],
    ['ssim: target [2, 3, 16, 19] must have the shape of the input [2, 3, 16, 20]', () => ssim(x, zeros([2, 3, 16, 19], { dtype: 'float64' }))],
    ['ssim: windowSize must be odd, got 10', () => ssim(x, y, { windowSize: 10 })],
    ['ssim: dataRange and sigma must be > 0', () => ssim(x, y, { dataRange: 0 })],
    ["ssimLoss: reduction must be one of 'mean', 'sum', 'none', got \"avg\"", () => ssimLoss(x, y, { reduction: 'avg' as never })],
    ["ssim: unknown option 'data_range' — did you mean 'dataRange'?", () => ssim(x, y, { data_range: 1 } as never)],
  ])('refuses: %s', (text, call) => expect(call).toThrow(text)); // biome-ignore format: a table
});
