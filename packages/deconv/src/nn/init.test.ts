import { describe, expect, it } from 'vitest';
import { convTranspose2d } from '../ops/conv.js';
import { ones, rand, tensor, zeros } from '../ops/create.js';
import { allClose } from '../ops/elementwise.js';
import { pixelShuffle } from '../ops/layout.js';
import { upsample } from '../ops/upsample.js';
import type { Tensor } from '../tensor.js';
import { Conv2d, ConvTranspose2d, init, manualSeed } from './index.js';

const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'not refused';
};

const blank = (...shape: number[]): Tensor => zeros(shape, { requiresGrad: true, dtype: 'float64' });
const meanOf = (x: Tensor) => Array.from(x.data).reduce((a, b) => a + b, 0) / x.size;
const deviationOf = (x: Tensor) =>
  Math.sqrt(Array.from(x.data).reduce((a, b) => a + b * b, 0) / x.size - meanOf(x) ** 2);
const largest = (x: Tensor) => Math.max(...Array.from(x.data, Math.abs));

describe('how far values scatter', () => {
  const shape = [60, 40, 3, 3];
  // Standard deviations worked out from the published formulas.
  it.each<[string, (w: Tensor) => Tensor, number, boolean]>([
    ['kaimingNormal', (w) => init.kaimingNormal(w), Math.sqrt(2 / 360), false],
    ['kaimingNormal, fanOut', (w) => init.kaimingNormal(w, { mode: 'fanOut' }), Math.sqrt(2 / 540), false],
    ['kaimingNormal, leaky', (w) => init.kaimingNormal(w, { slope: 2 }), Math.sqrt(2 / 5 / 360), false],
    ['kaimingUniform', (w) => init.kaimingUniform(w), Math.sqrt(2 / 360), true],
    ['kaimingUniform, linear', (w) => init.kaimingUniform(w, { slope: 1 }), Math.sqrt(1 / 360), true],
    ['transposed fanIn', (w) => init.kaimingUniform(w, { transposed: true }), Math.sqrt(2 / 540), true],
    ['transposed fanOut', (w) => init.kaimingUniform(w, { transposed: true, mode: 'fanOut' }), Math.sqrt(2 / 360), true],
    ['transposed, grouped', (w) => init.kaimingNormal(w, { transposed: true, groups: 4 }), Math.sqrt(2 / 135), false],
    ['xavierNormal', (w) => init.xavierNormal(w), Math.sqrt(2 / 900), false],
    ['xavierUniform, gain', (w) => init.xavierUniform(w, { gain: 5 / 3 }), (5 / 3) * Math.sqrt(2 / 900), true],
    ['uniform', (w) => init.uniform(w, { min: -3, max: 3 }), Math.sqrt(3), true],
    ['normal', (w) => init.normal(w, { deviation: 0.2 }), 0.2, false],
    // Of a normal cut at ±2: 1 − 4φ(2)/(2Φ(2) − 1).
    ['truncatedNormal', (w) => init.truncatedNormal(w), 0.8796, false],
  ])('%s', (_name, initialise, deviation, isUniform) => {
    const w = blank(...shape);
    expect(initialise(w)).toBe(w);
    expect(deviationOf(w) / deviation).toBeCloseTo(1, 1);
    expect(Math.abs(meanOf(w)) / deviation).toBeLessThan(0.02);
    const ends = largest(w) / deviation;
    if (isUniform) expect(ends).toBeLessThanOrEqual(Math.sqrt(3) + 1e-12);
    if (isUniform) expect(ends).toBeGreaterThan(1.7);
  }); // biome-ignore format: a table

  it('truncatedNormal stays within its ends', () => {
    const w = init.truncatedNormal(blank(5000), { mean: 1, deviation: 2, min: 0, max: 4 });
    expect([
      Math.min(...w.data) >= 0,
      Math.max(...w.data) <= 4,
      Math.min(...w.data) < 0.1,
      Math.max(...w.data) > 3.8,
    ]).toEqual([true, true, true, true]);
  });
});

describe('seeds', () => {
  it('the same seed, the same numbers; else the next of manualSeed’s', () => {
    const drawn = (options: object) => [...init.kaimingNormal(blank(4, 4), options).data];
    expect(drawn({ seed: 3 })).toEqual(drawn({ seed: 3 }));
    expect(drawn({ seed: 3 })).not.toEqual(drawn({ seed: 4 }));
    manualSeed(1);
    const first = [drawn({}), drawn({})];
    expect(first[0]).not.toEqual(first[1]);
    manualSeed(1);
    expect([drawn({}), drawn({})]).toEqual(first);
  });

  it('parameters stay what they are: leaves that collect gradients, of their type', () => {
    const { weight } = new Conv2d(2, 2, { kernelSize: 1 });
    init.constant(weight, 0.5);
    expect([weight.requiresGrad, weight.isLeaf, weight.dtype, [...weight.data]]).toEqual([
      true,
      true,
      'float32',
      [0.5, 0.5, 0.5, 0.5],
    ]);
    expect([...init.zeros(weight).data, ...init.ones(weight).data]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  });
});

describe('orthogonal', () => {
  it.each([
    [8, 3, 3, 3],
    [40, 2, 2],
    [6, 6],
  ])('rows or columns are orthonormal: %i, %i …', (...shape) => {
    const w = init.orthogonal(blank(...shape), { gain: 2, seed: 1 });
    const [rows, columns] = [shape[0], w.size / shape[0]];
    const at = (r: number, c: number) => w.data[r * columns + c] / 2;
    const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
    for (let a = 0; a < count; a++) {
      for (let b = 0; b <= a; b++) {
        let dot = 0;
        for (let i = 0; i < length; i++) dot += rows <= columns ? at(a, i) * at(b, i) : at(i, a) * at(i, b);
        expect(dot).toBeCloseTo(a === b ? 1 : 0, 12);
      }
    }
  });
});

describe('bilinear', () => {
  it.each([2, 3, 4])('makes a transposed convolution upsample by %i, inside', (s) => {
    const k = 2 * s - (s % 2);
    const x = rand([1, 2, 5, 4], { seed: 1, dtype: 'float64' });
    const w = init.bilinear(blank(2, 2, k, k));
    const y = convTranspose2d(x, w, {
      stride: s,
      padding: Math.floor((k - s + 1) / 2),
      outputShape: [5 * s, 4 * s],
    });
    const wanted = upsample(x, { scaleFactor: s, mode: 'bilinear' });
    // At the rim the layer fades to nothing, resampling does not.
    for (let c = 0; c < 2; c++)
      for (let row = s; row < 4 * s; row++)
        for (let column = s; column < 3 * s; column++) {
          const at = (c * 5 * s + row) * 4 * s + column;
          expect(y.data[at]).toBeCloseTo(wanted.data[at], 12);
        }
  });

  it('is the same for a grouped layer', () => {
    const layer = new ConvTranspose2d(3, 3, { kernelSize: 4, stride: 2, padding: 1, groups: 3, bias: false });
    const whole = new ConvTranspose2d(3, 3, { kernelSize: 4, stride: 2, padding: 1, bias: false });
    const x = rand([1, 3, 4, 4], { seed: 1 });
    init.bilinear(layer.weight);
    init.bilinear(whole.weight);
    expect(allClose(layer.forward(x), whole.forward(x), 1e-6)).toBe(true);
  });
});

describe('icnr', () => {
  it('blocks of a pixel shuffle start flat', () => {
    const conv = new Conv2d(3, 8, { kernelSize: 3, padding: 1, bias: false });
    init.icnr(conv.weight, 2);
    const y = pixelShuffle(conv.forward(rand([1, 3, 4, 4], { seed: 1 })), 2);
    const at = (c: number, row: number, column: number) => y.data[(c * 8 + row) * 8 + column];
    for (let c = 0; c < 2; c++)
      for (let row = 0; row < 8; row += 2)
        for (let column = 0; column < 8; column += 2) {
          const value = at(c, row, column);
          expect([at(c, row, column + 1), at(c, row + 1, column), at(c, row + 1, column + 1)]).toEqual([
            value,
            value,
            value,
          ]);
        }
    expect(at(0, 0, 0)).not.toBe(at(1, 0, 0));
    expect(at(0, 0, 0)).not.toBe(at(0, 2, 2));
  });

  it('takes the initialiser it is told', () => {
    const w = init.icnr(blank(4, 1, 1, 1), 2, (weight) => init.constant(weight, 3));
    expect([...w.data]).toEqual([3, 3, 3, 3]);
  });
});

describe('refusals', () => {
  it.each<[string, () => unknown]>([
    ['kaimingNormal: parameter must be a tensor, got [1]', () => init.kaimingNormal([1] as never)],
    ['kaimingUniform: parameter must have rank ≥ 2 to have inputs and outputs, got [3]', () => init.kaimingUniform(blank(3))],
    ['normal: parameter must be float32 or float64, got int32', () => init.normal(tensor(Int32Array.of(1)))],
    ["kaimingNormal: mode must be one of 'fanIn', 'fanOut', got \"fan_in\" — did you mean 'fanIn'?", () => init.kaimingNormal(blank(2, 2), { mode: 'fan_in' as never })],
    ["xavierNormal: unknown option 'slope'", () => init.xavierNormal(blank(2, 2), { slope: 1 } as never)],
    ['kaimingNormal: groups must be an integer ≥ 1, got 0', () => init.kaimingNormal(blank(2, 2), { groups: 0 })],
    ['truncatedNormal: [min 5, max 6] must be at least 1/10 deviation wide and reach within 2 deviations of the mean', () => init.truncatedNormal(blank(2), { min: 5, max: 6 })],
    ['truncatedNormal: [min 1, max 1] must be at least', () => init.truncatedNormal(blank(2), { min: 1, max: 1 })],
    ['truncatedNormal: [min 0, max 0] must be at least', () => init.truncatedNormal(blank(2), { deviation: 0 })],
    ['bilinear: parameter must have rank ≥ 3', () => init.bilinear(blank(2, 2))],
    ['icnr: output channels 6 must divide by factor² = 4', () => init.icnr(blank(6, 1, 1, 1), 2)],
    ['constant: value must be a finite number, got NaN', () => init.constant(ones([1]), Number.NaN)],
  ])('%s', (text, call) => expect(refusal(call)).toContain(text)); // biome-ignore format: a table
});
