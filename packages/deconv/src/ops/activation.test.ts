import {
  clamp,
  configure,
  conv2d,
  convTranspose2d,
  gradcheck,
  leakyRelu,
  randn,
  relu,
  sigmoid,
  sum,
  type Tensor,
  tanh,
  tensor,
} from 'deconv';
import { afterAll, describe, expect, it } from 'vitest';
import type { ActivationOption } from './activation.js';

const forms: [string, ActivationOption, (x: Tensor) => Tensor][] = [
  ['relu', 'relu', relu],
  ['leakyRelu', { name: 'leakyRelu', slope: 0.2 }, (x) => leakyRelu(x, 0.2)],
  ['steep leakyRelu', { name: 'leakyRelu', slope: 1.25 }, (x) => leakyRelu(x, 1.25)],
  ['leakyRelu by name', 'leakyRelu', (x) => leakyRelu(x)],
  ['clamp', { name: 'clamp', min: -0.5, max: 2 }, (x) => clamp(x, { min: -0.5, max: 2 })],
  ['sigmoid', 'sigmoid', sigmoid],
  ['tanh', { name: 'tanh' }, tanh],
];

const largestDifference = (a: Tensor, b: Tensor): number => {
  let most = 0;
  for (const [i, value] of Array.from(a.data).entries()) {
    const difference = Math.abs(value - b.data[i]);
    // Written so that NaN counts as a difference.
    if (!(difference <= most)) most = difference;
  }
  return most;
};

afterAll(async () => {
  await configure({ backend: 'wasm' });
});

describe.each(['wasm', 'reference'] as const)('activations fused on the %s backend', (backend) => {
  describe.each(forms)('%s', (_name, activation, apply) => {
    it.each([
      [1, 1, 'sum'],
      [2, 7, 'sum'],
      [3, 20, 'sum'],
      [2, 4, 'average'],
    ] as const)(
      'equals the function applied afterwards: stride %i, %i channels, %s',
      async (stride, channels, overlap) => {
        await configure({ backend });
        const x = randn([2, 3, 9, 11], { seed: 1 });
        const w = randn([3, channels, 3, 3], { seed: 2 });
        const bias = randn([channels], { seed: 3 });
        const options = { stride, bias, padding: 1, overlap };
        const fused = convTranspose2d(x, w, { ...options, activation });
        expect(largestDifference(fused, apply(convTranspose2d(x, w, options)))).toBeLessThan(2e-6);
        const v = randn([channels, 3, 3, 3], { seed: 4 });
        const forward = conv2d(x, v, { stride, bias, activation });
        expect(largestDifference(forward, apply(conv2d(x, v, { stride, bias })))).toBeLessThan(2e-6);
      },
    );

    it('has the gradients of the function applied afterwards, twice', () => {
      const f64 = (shape: number[], seed: number) => randn(shape, { seed, dtype: 'float64' });
      const inputs = [f64([1, 2, 4, 3], 1), f64([2, 3, 3, 3], 2), f64([3], 3)];
      const f = (x: Tensor, w: Tensor, bias: Tensor) =>
        convTranspose2d(x, w, { stride: 2, bias, activation });
      expect(gradcheck(f, inputs).error).toBeLessThan(1e-6);
    });
  });

  it('lets NaN through, and only where it belongs', async () => {
    await configure({ backend });
    for (const [, activation] of forms) {
      const x = tensor([[[[1, Number.NaN, 1, 1]]]]);
      const { data } = conv2d(x, tensor([[[[1]]]]), { activation });
      expect(Array.from(data, Number.isNaN)).toEqual([false, true, false, false]);
    }
  });

  it('saturates without overflow', async () => {
    await configure({ backend });
    const x = tensor([[[[-1e4, -90, 0, 90, 1e4]]]]);
    const one = tensor([[[[1]]]]);
    const sigmoids = Array.from(conv2d(x, one, { activation: 'sigmoid' }).data);
    expect(sigmoids.slice(2)).toEqual([0.5, 1, 1]);
    expect(Math.max(...sigmoids.slice(0, 2))).toBeLessThan(1e-37);
    expect(Array.from(conv2d(x, one, { activation: 'tanh' }).data)).toEqual([-1, -1, 0, 1, 1]);
  });
});

describe('what is refused', () => {
  const x = tensor([[[[1, 2]]]]);
  const w = tensor([[[[1]]]]);
  const call = (activation: unknown) => () =>
    sum(conv2d(x, w, { activation: activation as ActivationOption }));

  it('an unknown name, number or combination', () => {
    expect(call('rleu')).toThrow(/activation must be one of .*did you mean 'relu'/);
    expect(call({ name: 'relu', slope: 1 })).toThrow("conv2d: unknown option 'slope'");
    expect(call({ name: 'leakyRelu', slope: -1 })).toThrow('activation slope must be ≥ 0, got -1');
    expect(call({ name: 'clamp', min: 2 })).toThrow('activation min 2 must be ≤ max 1');
    expect(call({ name: 'clamp', min: Number.NaN })).toThrow('activation min must be a number, got NaN');
  });
});
