import { describe, expect, it } from 'vitest';
import type { DType, NestedNumbers } from '../tensor.js';
import { arange, full, ones, rand, randn, randomStream, tensor, zeros } from './create.js';

describe('tensor', () => {
  it.each([
    [Float32Array, 'float32'],
    [Float64Array, 'float64'],
    [Int32Array, 'int32'],
    [Uint8Array, 'uint8'],
  ] as const)('copies a %p', (Kind, dtype) => {
    const values = Kind.of(1, 2, 3, 4);
    const x = tensor(values, [2, 2]);
    expect([x.dtype, x.shape]).toEqual([dtype, [2, 2]]);
    expect(x.data).toBeInstanceOf(Kind);
    values[0] = 99;
    expect(Array.from(x.data)).toEqual([1, 2, 3, 4]);
    x.data[1] = 50;
    expect(values[1]).toBe(2);
  });

  it('copies the part of the buffer that a view shows', () => {
    const all = Float32Array.of(1, 2, 3, 4);
    expect(Array.from(tensor(all.subarray(1, 3)).data)).toEqual([2, 3]);
    expect(tensor(Buffer.from([7, 8])).dtype).toBe('uint8');
    const pixels = tensor(Uint8ClampedArray.of(0, 300, 7));
    expect([pixels.dtype, pixels.data]).toEqual(['uint8', Uint8Array.of(0, 255, 7)]);
  });

  it('reads nested arrays, numbers and nothing', () => {
    expect(tensor([[[1], [2]]]).shape).toEqual([1, 2, 1]);
    expect(tensor(4).shape).toEqual([]);
    expect(tensor([]).shape).toEqual([0]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
    expect(tensor([], [0, 3, 5, 5]).shape).toEqual([0, 3, 5, 5]);
    expect(tensor(new Float32Array(0), [2, 0]).size).toBe(0);
    expect(tensor([1, 2, 3, 4], [2, 2]).toArray()).toEqual([[1, 2], [3, 4]]); // biome-ignore format: a matrix
    expect(tensor([[1, 2]], [2]).toArray()).toEqual([1, 2]);
  });

  it('converts on request; options may stand second or third', () => {
    expect(tensor([1.5], { dtype: 'float64' }).dtype).toBe('float64');
    expect(tensor(Float64Array.of(0.1), { dtype: 'float32' }).data[0]).toBe(Math.fround(0.1));
    expect(tensor([-1.7, 2.9], [2], { dtype: 'int32' }).toArray()).toEqual([-1, 2]);
    expect(tensor([1], undefined, { requiresGrad: true }).requiresGrad).toBe(true);
    expect(tensor([1], { requiresGrad: false }).requiresGrad).toBe(false);
    expect(tensor([Number.NaN, Number.POSITIVE_INFINITY]).toArray()).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ]);
  });

  const bad: [string, () => unknown, string][] = [
    ['ragged', () => tensor([[1, 2], [3]]), 'tensor: values[1] must have 2 entries like its siblings, got 1 entries'], // biome-ignore format: one line
    [
      'number among rows',
      () => tensor([[1], 2]),
      'tensor: values[1] must have 1 entries like its siblings, got 2',
    ],
    ['row among numbers', () => tensor([1, [2]]), 'tensor: values[1] must be a number, got [2]'],
    [
      'null',
      () => tensor(null as never),
      'tensor: values must be a typed array, nested arrays or a number, got null',
    ],
    ['string', () => tensor(['1'] as never), 'tensor: values[0] must be a number, got "1"'],
    ['bigint', () => tensor([1n] as never), 'tensor: values[0] must be a number, got 1n'],
    ['shape too small', () => tensor([1, 2, 3], [2]), 'tensor: shape [2] holds 2 values, got 3'],
    ['shape of fractions', () => tensor([1], [0.5]), 'tensor: shape axis 0 must be an integer ≥ 0, got 0.5'],
    ['negative shape', () => tensor([1], [-1, -1]), 'tensor: shape axis 0 must be an integer ≥ 0, got -1'],
    ['unknown type', () => tensor([1], { dtype: 'float16' as DType }), "tensor: dtype must be one of 'float32', 'float64', 'int32', 'uint8', got \"float16\" — did you mean 'float32'?"], // biome-ignore format: one line
    ['unknown option', () => tensor([1], { requires_grad: true } as never), "tensor: unknown option 'requires_grad' — did you mean 'requiresGrad'?"], // biome-ignore format: one line
    ['shape as a number', () => tensor([1], 1 as never), 'tensor: options must be an object, got 1'],
    ['integers with gradients', () => tensor([1], { dtype: 'uint8', requiresGrad: true }), 'requiresGrad: only float32 and float64 tensors have gradients, this one is uint8'], // biome-ignore format: one line
  ];
  it.each(bad)('refuses: %s', (_name, call, text) => expect(call).toThrow(text));

  it('reads a deep nesting', () => {
    let nested: NestedNumbers = 1;
    for (let i = 0; i < 50; i++) nested = [nested];
    expect(tensor(nested).rank).toBe(50);
  });
});

describe('makers', () => {
  it('fill', () => {
    expect(zeros([2, 1]).toArray()).toEqual([[0], [0]]);
    expect(ones([2], { dtype: 'int32' }).data).toEqual(Int32Array.of(1, 1));
    expect(full([], 2.5).item()).toBe(2.5);
    expect(full([3], Number.NaN).toArray()).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(zeros([0, 3]).size).toBe(0);
    expect(ones([1], { requiresGrad: true }).requiresGrad).toBe(true);
  });

  it('count', () => {
    expect(arange(4).data).toEqual(Float32Array.of(0, 1, 2, 3));
    expect(arange(2, { dtype: 'uint8' }).data).toEqual(Uint8Array.of(0, 1));
    expect(arange(0).shape).toEqual([0]);
  });

  it('complain under their own names', () => {
    expect(() => zeros([-1])).toThrow('zeros: shape axis 0 must be an integer ≥ 0, got -1');
    expect(() => ones([Number.NaN])).toThrow('ones: shape axis 0 must be an integer ≥ 0, got NaN');
    expect(() => full([1], '1' as never)).toThrow('full: value must be a number, got "1"');
    expect(() => full(3 as never, 1)).toThrow('full: shape must be an array of axis lengths, got 3');
    expect(() => zeros([2 ** 20, 2 ** 20])).toThrow(
      'zeros: shape [1048576, 1048576] has more than 4294967295 elements',
    );
    expect(() => arange(1.5)).toThrow('arange: count axis 0 must be an integer ≥ 0, got 1.5');
    expect(() => rand([1], { dtype: 'int32' as never })).toThrow(
      "rand: dtype must be one of 'float32', 'float64', got \"int32\"",
    );
    expect(() => randn([1], { sed: 1 } as never)).toThrow(
      "randn: unknown option 'sed' — did you mean 'seed'?",
    );
    expect(() => rand([1], { seed: 0.5 })).toThrow('randomStream: seed must be an integer, got 0.5');
  });
});

describe('random numbers', () => {
  it('are the same for the same seed, others for another', () => {
    expect(randn([5], { seed: 4 }).data).toEqual(randn([5], { seed: 4 }).data);
    expect(randn([5], { seed: 4 }).data).not.toEqual(randn([5], { seed: 5 }).data);
    expect(rand([5]).data).toEqual(rand([5], { seed: 0 }).data);
    expect(randn([4], { dtype: 'float32' }).data).toEqual(
      Float32Array.from(randn([4], { dtype: 'float64' }).data),
    );
  });

  it('stay what they are', () => {
    const first = (seed: number) => Array.from({ length: 3 }, randomStream(seed)).map((u) => u * 2 ** 32);
    // Computed from the generator's definition with integers of arbitrary length.
    expect(first(0)).toEqual([3809008728, 1133695204, 53579671]);
    expect(first(-7)).toEqual([4105674630, 1549025917, 1462909597]);
  });

  it('are uniform in [0, 1), and normal', () => {
    const uniform = rand([20_000], { seed: 1 }).data;
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    const bins = new Array<number>(10).fill(0);
    for (const u of uniform) bins[Math.floor(u * 10)]++;
    // 2000 in each of ten bins, give or take five standard deviations of 42.
    for (const count of bins) expect(Math.abs(count - 2000)).toBeLessThan(212);
    const x = Array.from(randn([20_000], { seed: 2, dtype: 'float64' }).data);
    const moment = (p: number) => x.reduce((total, value) => total + value ** p, 0) / x.length;
    for (const [p, expected] of [[1, 0], [2, 1], [3, 0], [4, 3]]) expect(Math.abs(moment(p) - expected)).toBeLessThan(0.2); // biome-ignore format: pairs
  });

  it('rand cuts what float32 cannot hold instead of rounding up to 1', () => {
    const exact = rand([1000], { seed: 3, dtype: 'float64' }).data;
    const cut = rand([1000], { seed: 3 }).data;
    for (const [i, u] of exact.entries()) {
      expect(cut[i]).toBeLessThanOrEqual(u);
      expect(u - cut[i]).toBeLessThan(2 ** -24);
    }
  });
});
