/**
 * Numbers as large as they come where little is asked for: a stride or a dilation that no axis is as long as, planes of a
 * size that nobody could hold in a batch of none, axes of hundreds of thousands. The work must be that of the result.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as deconv from '../packages/deconv/src/index.js';
import {
  avgPool1d,
  conv1d,
  conv2d,
  convTranspose2d,
  ones,
  sum,
  upsample,
} from '../packages/deconv/src/index.js';

const HUGE = [2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 40, 2 ** 53 - 1];

describe.each(['wasm', 'reference'] as const)('by %s', (backend) => {
  beforeAll(() => deconv.configure({ backend }));
  afterAll(() => deconv.configure({ backend: 'wasm' }));

  it.each(HUGE)('a stride of %d has one output', (stride) => {
    const w = ones([4, 3, 3, 3], { requiresGrad: true });
    const y = conv2d(ones([2, 3, 8, 8]), w, { stride, padding: 1 });
    expect([y.shape, y.data[0]]).toEqual([[2, 4, 1, 1], 12]);
    sum(y).backward();
    expect(sum(w.grad as deconv.Tensor).item()).toBe(2 * 4 * 12);
    const back = convTranspose2d(ones([1, 4, 1, 1]), w, { stride: [stride, 2] });
    expect([back.shape, back.data[0]]).toEqual([[1, 3, 3, 3], 4]);
  });

  it.each(HUGE.filter((n) => n < 2 ** 50))(
    'a dilation of %d, padded by as much, meets the middle tap',
    (dilation) => {
      const w = ones([1, 2, 3], { requiresGrad: true });
      const y = conv1d(ones([1, 2, 5]), w, { dilation, padding: dilation });
      expect([...y.data]).toEqual([2, 2, 2, 2, 2]);
      sum(y).backward();
      expect([...(w.grad?.data ?? [])]).toEqual([0, 5, 0, 0, 5, 0]);
    },
  );

  it.each(HUGE.slice(0, 4))('windows of %d, all but a little of them padding', (kernelSize) => {
    const x = deconv.tensor([[[1, 5, 3, 2]]]);
    const options = { kernelSize, padding: Math.floor(kernelSize / 2), stride: 1 };
    const { output, indices } = deconv.maxPool1d(x, options);
    expect([[...output.data].slice(0, 4), [...indices.data].slice(0, 4)]).toEqual([
      [5, 5, 5, 5],
      [1, 1, 1, 1],
    ]);
    const mean = avgPool1d(x, options);
    expect(mean.shape).toEqual(output.shape);
    expect((mean.data[1] * kernelSize) / 11).toBeCloseTo(1, 5);
  });

  it.each(HUGE)('planes of %d in an empty batch', (length) => {
    const none = ones([0, 2, 3], { requiresGrad: true });
    const w = ones([4, 2, 1], { requiresGrad: true });
    const padding = [[0, length - 3]] as const;
    const y = conv1d(none, w, { padding });
    expect(y.shape).toEqual([0, 4, length]);
    sum(y).backward();
    expect([none.grad?.shape, sum(w.grad as deconv.Tensor).item()]).toEqual([[0, 2, 3], 0]);
    const spread = deconv.convTranspose1d(none, ones([2, 1, 1]), {
      stride: Math.floor((length - 1) / 2),
      overlap: 'average',
    });
    sum(spread).backward();
    expect(spread.shape).toEqual([0, 1, 2 * Math.floor((length - 1) / 2) + 1]);
    for (const mode of ['nearest', 'linear', 'cubic'] as const) {
      const large = upsample(none, { size: length, mode });
      sum(large).backward();
      expect(large.shape).toEqual([0, 2, length]);
    }
    expect(deconv.adaptiveAvgPool1d(none, length).shape).toEqual([0, 2, length]);
  });
});

it('windows that are mostly padding', async () => {
  // Of five taps along an axis of one, one sees it; of nine along two, windows see one or both.
  const shapes = [
    { shape: [2, 3, 1, 4], kernelSize: [5, 3], padding: [2, 1] },
    { shape: [2, 3, 2, 2], kernelSize: [8, 9], padding: [4, 4] },
    { shape: [1, 2, 3, 5], kernelSize: [7, 10], padding: [3, 5], stride: 2 },
    { shape: [1, 2, 3, 5], kernelSize: [3, 3], padding: [1, 1], dilation: [2, 3], stride: 1 },
    { shape: [1, 1, 2, 1000], kernelSize: [2, 600], padding: [1, 300], stride: [1, 7] },
  ];
  const by = async (backend: 'wasm' | 'reference', { shape, ...options }: (typeof shapes)[number]) => {
    await deconv.configure({ backend });
    const x = deconv.randn(shape, { seed: 5, requiresGrad: true });
    const { output, indices } = deconv.maxPool2d(x, options);
    const mean = options.dilation ? x : deconv.avgPool2d(x, options);
    const columns = deconv.unfold(x, options);
    sum(deconv.mul(output, output)).backward();
    sum(deconv.mul(mean, mean)).backward();
    sum(deconv.mul(columns, columns)).backward();
    return [output, indices, mean, columns, x.grad as deconv.Tensor].map(({ shape, data }) => [
      shape,
      [...data],
    ]);
  };
  for (const given of shapes) {
    const [fast, slow] = [await by('wasm', given), await by('reference', given)];
    expect(fast.slice(0, 2)).toEqual(slow.slice(0, 2));
    for (const [i, [shape, values]] of slow.entries()) {
      expect(fast[i][0]).toEqual(shape);
      for (const [j, value] of values.entries())
        expect(Math.abs((fast[i][1] as number[])[j] - value)).toBeLessThanOrEqual(
          1e-5 * Math.max(1, Math.abs(value)),
        );
    }
  }
  await deconv.configure({ backend: 'wasm' });
});

describe('along an axis of 300,000', () => {
  const length = 300_000;
  const line = () =>
    deconv.tensor(
      Float32Array.from({ length }, (_, i) => i % 1000),
      [1, 1, length],
      { requiresGrad: true },
    );

  it('means of windows, there and back', () => {
    const x = line();
    const y = avgPool1d(x, { kernelSize: 3, stride: 2, padding: 1 });
    expect([y.shape, y.data[0], y.data[1], y.data[149_999]]).toEqual([
      [1, 1, 150_000],
      Math.fround(1 / 3),
      2,
      998,
    ]);
    sum(y).backward();
    expect([...(x.grad?.data.slice(0, 4) ?? [])]).toEqual([1, 2, 1, 2].map((n) => Math.fround(n / 3)));
  });

  it('means of windows of a thousand, there and back', () => {
    const x = line();
    const y = avgPool1d(x, { kernelSize: 1000, stride: 10 });
    expect([y.shape, y.data[0], y.data[1], y.data[29_900]]).toEqual([[1, 1, 29_901], 499.5, 499.5, 499.5]);
    sum(y).backward();
    const shares = [0, 10, 999, 150_000, 299_999].map((i) => x.grad?.data[i] ?? 0);
    for (const [i, share] of [0.001, 0.002, 0.1, 0.1, 0.001].entries())
      expect(shares[i]).toBeCloseTo(share, 6);
  });

  it('means of as many windows as are wanted', () => {
    const y = deconv.adaptiveAvgPool1d(line(), length / 2 + 1);
    expect([y.shape, y.data[0], y.data[150_000]]).toEqual([[1, 1, 150_001], 0.5, 998.5]);
  });

  it('resampling, there and back', () => {
    for (const mode of ['nearest', 'linear', 'cubic'] as const) {
      const x = line();
      const y = upsample(x, { scaleFactor: 3, mode });
      expect([y.shape, y.data[1], y.data[899_998]]).toEqual([[1, 1, 900_000], 0, 999]);
      sum(y).backward();
      expect(sum(x.grad as deconv.Tensor).item()).toBeCloseTo(900_000, -1);
    }
  });

  it('chosen values', () => {
    const positions = Int32Array.from({ length }, (_, i) => length - 1 - i);
    const x = line();
    const y = deconv.take(x, positions, 2);
    expect([y.data[0], y.data[length - 1]]).toEqual([999, 0]);
    sum(y).backward();
    expect(sum(x.grad as deconv.Tensor).item()).toBe(length);
  });
});
