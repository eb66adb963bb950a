import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensor.js';
import { ones, randn, tensor, zeros } from './create.js';
import { add, sub } from './elementwise.js';
import { cast } from './layout.js';
import { batchNorm, groupNorm, instanceNorm, layerNorm } from './norm.js';

const x = randn([3, 4, 2, 5], { dtype: 'float64', seed: 5 });
const f64 = (...values: number[]): Tensor => tensor(values, { dtype: 'float64' });

/** Mean and biased variance of the elements of y whose flat position is chosen. */
function moments(y: Tensor, chosen: (flat: number) => boolean): [number, number] {
  const values = Array.from(y.data).filter((_, i) => chosen(i));
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length];
}

const channelOf = (flat: number) => Math.floor(flat / 10) % 4;
const pictureOf = (flat: number) => Math.floor(flat / 40);

/** Each set normalised: mean 0, variance 1. */
function expectNormal(y: Tensor, sets: number, setOf: (flat: number) => number): void {
  for (let set = 0; set < sets; set++) {
    const [mean, variance] = moments(y, (i) => setOf(i) === set);
    expect(mean).toBeCloseTo(0, 12);
    expect(variance).toBeCloseTo(1, 10);
  }
}

describe('what the normalisations normalise', () => {
  const eps = 1e-14;
  it('batchNorm: each channel', () => expectNormal(batchNorm(x, { training: true, eps }), 4, channelOf));
  it('instanceNorm: each channel of each picture', () =>
    expectNormal(instanceNorm(x, { eps }), 12, (i) => Math.floor(i / 10)));
  it('groupNorm: each group of each picture', () =>
    expectNormal(groupNorm(x, 2, { eps }), 6, (i) => Math.floor(i / 20)));
  it('groupNorm of one group: each picture', () => expectNormal(groupNorm(x, 1, { eps }), 3, pictureOf));
  it('layerNorm: each of the leading positions', () =>
    expectNormal(layerNorm(x, [2, 5], { eps }), 12, (i) => Math.floor(i / 10)));
});

describe('weight, bias and eps', () => {
  it('scale and shift each channel', () => {
    const [weight, bias] = [f64(1, 2, 3, 4), f64(10, 20, 30, 40)];
    for (const f of [
      (options: object) => batchNorm(x, { ...options, training: true }),
      (options: object) => instanceNorm(x, options),
      (options: object) => groupNorm(x, 2, options),
    ]) {
      const [plain, scaled] = [f({}), f({ weight, bias })];
      for (let i = 0; i < x.size; i++) {
        const channel = channelOf(i);
        expect(scaled.data[i]).toBeCloseTo(plain.data[i] * (channel + 1) + 10 * (channel + 1), 12);
      }
    }
  });

  it('adds eps to the variance, 1e-5 unless told', () => {
    const y = tensor([[[1, 3]]], { dtype: 'float64' });
    expect(instanceNorm(y).data[1]).toBe(1 / Math.sqrt(1 + 1e-5));
    expect(instanceNorm(y, { eps: 3 }).data[1]).toBe(0.5);
    expect(instanceNorm(zeros([1, 1, 3])).toArray()).toEqual([[[0, 0, 0]]]);
  });
});

describe('batchNorm', () => {
  it('follows the batch with momentum, the unbiased variance, and goes by it afterwards', () => {
    const y = tensor([[1], [2], [6]], { dtype: 'float64' });
    const [runningMean, runningVar] = [f64(10), f64(5)];
    batchNorm(y, { training: true, runningMean, runningVar, momentum: 0.25 });
    expect(runningMean.item()).toBeCloseTo(0.75 * 10 + 0.25 * 3, 14);
    expect(runningVar.item()).toBeCloseTo(0.75 * 5 + 0.25 * 7, 14);
    const [m, v] = [runningMean.item(), runningVar.item()];
    const out = batchNorm(y, { runningMean, runningVar, eps: 0 });
    for (const [i, value] of [1, 2, 6].entries())
      expect(out.data[i]).toBeCloseTo((value - m) / Math.sqrt(v), 14);
    expect([runningMean.item(), runningVar.item()]).toEqual([m, v]);
    batchNorm(y, { training: true, runningMean, momentum: 1 });
    expect(runningMean.item()).toBe(3);
  });

  it('goes back by the statistics it went there by, whatever became of them', () => {
    const weight = tensor([1], { requiresGrad: true, dtype: 'float64' });
    const [runningMean, runningVar] = [f64(1), f64(4)];
    const y = batchNorm(tensor([[5]], { dtype: 'float64' }), { weight, runningMean, runningVar, eps: 0 });
    runningMean.assign(f64(100));
    runningVar.dispose();
    y.backward();
    expect(weight.grad?.item()).toBe(2);
  });

  it('keeps its precision far from zero', () => {
    const far = add(randn([4, 1, 50], { seed: 1 }), 1000);
    const near = sub(cast(far, 'float64'), 1000);
    const wanted = batchNorm(near, { training: true });
    const got = batchNorm(far, { training: true });
    for (const [i, value] of got.data.entries()) expect(value).toBeCloseTo(wanted.data[i], 3);
  });

  it('takes an empty batch when not training', () => {
    const running = { runningMean: zeros([2]), runningVar: ones([2]) };
    expect(batchNorm(zeros([0, 2, 3]), running).shape).toEqual([0, 2, 3]);
    expect(groupNorm(zeros([0, 2, 3]), 2).shape).toEqual([0, 2, 3]);
  });

  const bad: [string, () => unknown][] = [
    ['batchNorm: runningMean and runningVar are required unless training is true', () => batchNorm(x)],
    ['batchNorm: training needs more than 1 value per channel, got shape [1, 2]', () => batchNorm(zeros([1, 2]), { training: true })],
    ['batchNorm: runningMean must have shape [4], got [3]', () => batchNorm(x, { runningMean: zeros([3]), training: true })],
    ['batchNorm: runningVar must be a tensor, got [1, 1, 1, 1]', () => batchNorm(x, { runningVar: [1, 1, 1, 1] as never, training: true })],
    ['batchNorm: runningMean is float32 but x is float64', () => batchNorm(x, { runningMean: zeros([4]), training: true })],
    ['batchNorm: training must be true or false, got "yes"', () => batchNorm(x, { training: 'yes' as never })],
    ['batchNorm: momentum must be a number in [0, 1], got 2', () => batchNorm(x, { training: true, momentum: 2 })],
    ['batchNorm: eps must be a number ≥ 0, got -1', () => batchNorm(x, { training: true, eps: -1 })],
    ['batchNorm: weight must have shape [4], got [2]', () => batchNorm(x, { training: true, weight: f64(1, 2) })],
    ["batchNorm: unknown option 'running_mean' — did you mean 'runningMean'?", () => batchNorm(x, { running_mean: 1 } as never)],
    ['groupNorm: groups must be an integer ≥ 1 that divides channels 4, got 3', () => groupNorm(x, 3)],
    ['groupNorm: groups must be an integer ≥ 1 that divides channels 4, got undefined', () => groupNorm(x, undefined as never)],
    ['instanceNorm: x must be (N, C, …) of rank ≥ 3, got [2, 2]', () => instanceNorm(zeros([2, 2]))],
    ['layerNorm: normalizedShape [4] must be the last axes of x [3, 4, 2, 5]', () => layerNorm(x, [4])],
    ['layerNorm: normalizedShape [] must be the last axes', () => layerNorm(x, [])],
    ['layerNorm: normalizedShape must be an array, got 5', () => layerNorm(x, 5 as never)],
    ['layerNorm: weight must have shape [5], got [2]', () => layerNorm(x, [5], { weight: f64(1, 2) })],
  ]; // biome-ignore format: a table
  it.each(bad)('refuses: %s', (text, call) => expect(call).toThrow(text));
});
