import { describe, expect, it } from 'vitest';
import { grad } from '../autograd.js';
import type { Tensor } from '../tensor.js';
import { arange, ones, randn, tensor, zeros } from './create.js';
import { mul } from './elementwise.js';
import { reshape } from './layout.js';
import { sum } from './reduce.js';
import {
  avgPool1d,
  avgPool2d,
  fold,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  maxUnpool1d,
  maxUnpool2d,
  unfold,
} from './window.js';

const NAN = Number.NaN;
const row = (...values: number[]): Tensor => tensor([[values]]);
const flat = (x: Tensor): number[] => Array.from(x.data);

describe('max pooling', () => {
  it.each([
    [{ kernelSize: 2 }, [2, 5], [1, 3]],
    [{ kernelSize: 2, ceilMode: true }, [2, 5, 4], [1, 3, 4]],
    [{ kernelSize: 3, stride: 1 }, [3, 5, 5], [2, 3, 3]],
    [{ kernelSize: 2, stride: 1, padding: 1 }, [1, 2, 3, 5, 5, 4], [0, 1, 2, 3, 3, 4]],
    [{ kernelSize: 2, stride: 1, dilation: 3 }, [5, 4], [3, 4]],
    [{ kernelSize: 5, padding: 2 }, [3], [2]],
    [{ kernelSize: 7, padding: 3 }, [5], [3]],
    [{ kernelSize: 8, stride: 1, padding: 4 }, [5, 5, 5, 5, 5, 5].slice(0, 6), [3, 3, 3, 3, 3, 3]],
    [{ kernelSize: 3, stride: 2, ceilMode: true }, [3, 5], [2, 3]],
    [{ kernelSize: 1, stride: 4 }, [1, 4], [0, 4]],
    [{ kernelSize: 1, stride: 3, ceilMode: true }, [1, 5], [0, 3]],
  ])('of 1 2 3 5 4 with %j', (options, output, indices) => {
    const pooled = maxPool1d(row(1, 2, 3, 5, 4), options);
    expect(flat(pooled.output)).toEqual(output);
    expect(flat(pooled.indices)).toEqual(indices);
    expect(pooled.indices.dtype).toBe('int32');
  });

  it('takes the first of equals, NaN before all, and −∞ rather than padding', () => {
    const ties = maxPool1d(row(3, 3, 1, 3), { kernelSize: 4 });
    expect([flat(ties.output), flat(ties.indices)]).toEqual([[3], [0]]);
    const spoilt = maxPool1d(row(9, NAN, 3, NAN), { kernelSize: 4 });
    expect([flat(spoilt.output), flat(spoilt.indices)]).toEqual([[NAN], [1]]);
    const low = row(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY);
    const lowest = maxPool1d(low, { kernelSize: 2, stride: 2, padding: 1 });
    expect([flat(lowest.output), flat(lowest.indices)]).toEqual([[-Infinity, -Infinity], [0, 1]]); // biome-ignore format: pairs
    expect(flat(maxPool1d(row(-5, -7), { kernelSize: 2, padding: 1 }).output)).toEqual([-5, -7]);
  });

  it('numbers positions within the plane of each channel, over 2 and 3 axes', () => {
    const x = reshape(arange(24), [1, 2, 3, 4]);
    const { output, indices } = maxPool2d(x, { kernelSize: 2, stride: [1, 2] });
    expect(flat(output)).toEqual([5, 7, 9, 11, 17, 19, 21, 23]);
    expect(flat(indices)).toEqual([5, 7, 9, 11, 5, 7, 9, 11]);
    const volume = maxPool3d(reshape(arange(16), [2, 1, 2, 2, 2]), { kernelSize: 2 });
    expect([flat(volume.output), flat(volume.indices)]).toEqual([[7, 15], [7, 7]]); // biome-ignore format: pairs
  });

  it('takes an empty batch, and no window of padding alone', () => {
    const empty = maxPool2d(zeros([0, 3, 4, 4], { requiresGrad: true }), { kernelSize: 2 });
    expect([empty.output.shape, empty.indices.shape]).toEqual([[0, 3, 2, 2], [0, 3, 2, 2]]); // biome-ignore format: pairs
    expect(() => maxPool1d(row(1), { kernelSize: 2, padding: 2, dilation: 3 })).toThrow(
      'maxPool1d: window 0 of axis 0 has no tap inside the input: kernelSize 2, dilation 3, padding 2, input 1',
    );
    expect(flat(maxPool1d(row(1, 2), { kernelSize: 2, padding: 2, dilation: 3, stride: 2 }).output)).toEqual([
      2, 1,
    ]);
  });

  it('sends the gradient to the chosen, adding up where windows overlap', () => {
    const x = tensor([[[1, 5, 2, 4]]], { requiresGrad: true });
    const { output } = maxPool1d(x, { kernelSize: 2, stride: 1 });
    output.backward(tensor([[[1, 10, 100]]]));
    expect(x.grad && flat(x.grad)).toEqual([0, 11, 0, 100]);
  });
});

describe('unpooling', () => {
  const indices = tensor([[[1, 3]]], { dtype: 'int32' });

  it('puts values back, into any size that pools to them', () => {
    expect(flat(maxUnpool1d(row(7, 8), indices, { kernelSize: 2 }))).toEqual([0, 7, 0, 8]);
    expect(flat(maxUnpool1d(row(7, 8), indices, { kernelSize: 2, outputSize: [5] }))).toEqual([
      0, 7, 0, 8, 0,
    ]);
    expect(flat(maxUnpool1d(row(7, 8), indices, { kernelSize: 3, stride: 2, padding: 1, outputSize: [1, 1, 4] }))).toEqual([0, 7, 0, 8]); // biome-ignore format: one line
    expect(maxUnpool2d(zeros([0, 2, 1, 1]), zeros([0, 2, 1, 1], { dtype: 'int32' }), { kernelSize: 2 }).shape).toEqual([0, 2, 2, 2]); // biome-ignore format: one line
  });

  it('writes a value once where overlapping windows chose the same place', () => {
    const { output, indices } = maxPool1d(row(1, 5, 2), { kernelSize: 2, stride: 1 });
    expect(flat(maxUnpool1d(output, indices, { kernelSize: 2, stride: 1 }))).toEqual([0, 5, 0]);
  });

  it('keeps batch and channels apart', () => {
    const x = randn([2, 3, 4, 4]);
    const { output, indices } = maxPool2d(x, { kernelSize: 2 });
    const back = maxUnpool2d(output, indices, { kernelSize: 2 });
    for (const [i, value] of back.data.entries()) expect(value === 0 || value === x.data[i]).toBe(true);
    expect(back.data.filter((value) => value !== 0)).toHaveLength(output.size);
  });

  const bad: [string, () => unknown][] = [
    ['maxUnpool1d: indices must be integers in [0, 3] for an output plane of 4, got 4', () => maxUnpool1d(row(1, 2), tensor([[[1, 4]]], { dtype: 'int32' }), { kernelSize: 2 })],
    ['maxUnpool1d: indices must be integers in [0, 3] for an output plane of 4, got -1', () => maxUnpool1d(row(1, 2), tensor([[[-1, 3]]], { dtype: 'int32' }), { kernelSize: 2 })],
    ['maxUnpool1d: indices must be integers in [0, 3] for an output plane of 4, got 0.5', () => maxUnpool1d(row(1, 2), row(0.5, 3), { kernelSize: 2 })],
    ['maxUnpool1d: indices [1, 1, 2] must have the shape of the input [1, 1, 3]', () => maxUnpool1d(row(1, 2, 3), indices, { kernelSize: 2 })],
    ['maxUnpool1d: outputSize 6 of axis 0 must lie within stride 2 of 4', () => maxUnpool1d(row(1, 2), indices, { kernelSize: 2, outputSize: [6] })],
    ['maxUnpool1d: outputSize [2, 1, 4] must start with [1, 1]', () => maxUnpool1d(row(1, 2), indices, { kernelSize: 2, outputSize: [2, 1, 4] })],
    ['maxUnpool1d: outputSize must be an array of sizes, got 4', () => maxUnpool1d(row(1, 2), indices, { kernelSize: 2, outputSize: 4 as never })],
    ['maxUnpool1d: kernelSize is required', () => maxUnpool1d(row(1, 2), indices, {} as never)],
    ['maxUnpool1d: kernelSize is required', () => maxUnpool1d(row(1, 2), indices, undefined as never)],
    ["maxUnpool1d: unknown option 'output_size' — did you mean 'outputSize'?", () => maxUnpool1d(row(1, 2), indices, { kernelSize: 2, output_size: [4] } as never)],
    ['maxUnpool2d: input must have rank 4 (batch, channels, …space), got [1, 1, 2]', () => maxUnpool2d(row(1, 2), indices, { kernelSize: 2 })],
  ]; // biome-ignore format: a table
  it.each(bad)('refuses: %s', (text, call) => expect(call).toThrow(text));
});

describe('average pooling', () => {
  const x = row(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  // Values computed by PyTorch.
  it.each([
    [{ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }, [1 / 3, 2, 4, 6, 8, 4.5]],
    [{ kernelSize: 3, stride: 2, padding: 1, ceilMode: true, countIncludePad: false }, [0.5, 2, 4, 6, 8, 9]],
    [{ kernelSize: 4, stride: 3, padding: 2, ceilMode: true }, [0.25, 2.5, 5.5, 6]],
    [{ kernelSize: 4, stride: 3, padding: 2, ceilMode: true, countIncludePad: false }, [0.5, 2.5, 5.5, 8]],
    [{ kernelSize: 3, stride: 4, padding: 1, ceilMode: true }, [1 / 3, 4, 8]],
    [{ kernelSize: 12, padding: 1 }, [45 / 12]],
    [{ kernelSize: 12, padding: 1, countIncludePad: false }, [4.5]],
  ])('with %j', (options, expected) => {
    const values = flat(avgPool1d(x, options));
    expect(values).toEqual(expected.map((value) => expect.closeTo(value, 6)));
  });

  it('spreads its gradient by the same divisor', () => {
    const y = tensor([[[1, 2, 3]]], { dtype: 'float64', requiresGrad: true });
    const options = { kernelSize: 2, stride: 2, padding: 1 };
    const seed = tensor([[[1, 10]]], { dtype: 'float64' });
    expect(flat(grad(avgPool1d(y, options), [y], { gradOutput: seed })[0])).toEqual([0.5, 5, 5]);
    const inside = avgPool1d(y, { ...options, countIncludePad: false });
    expect(flat(grad(inside, [y], { gradOutput: seed })[0])).toEqual([1, 5, 5]);
  });

  it('is 0, not NaN, for a window that sees nothing', () => {
    const apart = { kernelSize: 2, padding: 2, dilation: 3, countIncludePad: false };
    const y = tensor([[[7]]], { requiresGrad: true });
    const output = avgPool1d(y, apart);
    expect(flat(output)).toEqual([0]);
    sum(output).backward();
    expect(y.grad && flat(y.grad)).toEqual([0]);
  });

  it('takes an empty batch', () =>
    expect(avgPool2d(zeros([0, 1, 2, 2]), { kernelSize: 2 }).shape).toEqual([0, 1, 1, 1]));
});

describe('options of the windows', () => {
  const x = ones([1, 1, 4, 4]);
  const bad: [string, () => unknown][] = [
    ['maxPool2d: kernelSize is required', () => maxPool2d(x, undefined as never)],
    ['avgPool2d: kernelSize is required', () => avgPool2d(x, { stride: 1 } as never)],
    ['maxPool2d: kernelSize must be an integer ≥ 1, got 0', () => maxPool2d(x, { kernelSize: 0 })],
    ['maxPool2d: kernelSize needs 2 values (one per spatial axis), got [2]', () => maxPool2d(x, { kernelSize: [2] })],
    ['maxPool2d: padding 2 must be ≤ half of the window 3', () => maxPool2d(x, { kernelSize: 3, padding: 2 })],
    ['avgPool2d: padding 1 must be ≤ half of the window 1', () => avgPool2d(x, { kernelSize: 1, padding: 1 })],
    ['maxPool2d: padding must be an integer ≥ 0, got -1', () => maxPool2d(x, { kernelSize: 2, padding: -1 })],
    ['maxPool2d: stride must be an integer ≥ 1, got 1.5', () => maxPool2d(x, { kernelSize: 2, stride: 1.5 })],
    ['maxPool2d: ceilMode must be true or false, got 1', () => maxPool2d(x, { kernelSize: 2, ceilMode: 1 as never })],
    ["avgPool2d: unknown option 'count_include_pad' — did you mean 'countIncludePad'?", () => avgPool2d(x, { kernelSize: 2, count_include_pad: true } as never)],
    ["maxPool2d: unknown option 'countIncludePad'", () => maxPool2d(x, { kernelSize: 2, countIncludePad: true } as never)],
    ['avgPool2d: countIncludePad must be true or false, got 0', () => avgPool2d(x, { kernelSize: 2, countIncludePad: 0 as never })],
    ['maxPool2d: output size of axis 0 would be -4, must be ≥ 1: the window spans 9 but the padded input is 4 long', () => maxPool2d(x, { kernelSize: 9, stride: 1 })],
    ['maxPool1d: input must have rank 3 (batch, channels, …space), got [1, 1, 4, 4]', () => maxPool1d(x, { kernelSize: 2 })],
    ['maxPool2d: input must be a tensor, got undefined', () => maxPool2d(undefined as never, { kernelSize: 2 })],
    ['unfold: input must be (N, C, …1 to 3 spatial axes), got [2, 2]', () => unfold(ones([2, 2]), { kernelSize: 1 })],
    ["unfold: unknown option 'ceilMode'", () => unfold(x, { kernelSize: 2, ceilMode: true } as never)],
    ['fold: outputSize must be an array of 1 to 3 sizes, got undefined', () => fold(ones([1, 4, 1]), undefined as never)],
    ['fold: outputSize must be an array of 1 to 3 sizes, got []', () => fold(ones([1, 4, 1]), { kernelSize: 2, outputSize: [] })],
    ['fold: columns must be (N, C·|kernel|, windows), got [4, 1]', () => fold(ones([4, 1]), { kernelSize: 2, outputSize: [2, 2] })],
    ["fold: rows 6 must divide by the kernel's 4 taps", () => fold(ones([1, 6, 1]), { kernelSize: 2, outputSize: [2, 2] })],
    ['fold: columns must hold 2×2 = 4 windows, got 3', () => fold(ones([1, 4, 3]), { kernelSize: 2, outputSize: [3, 3] })],
  ]; // biome-ignore format: a table
  it.each(bad)('refuses: %s', (text, call) => expect(call).toThrow(text));
});

describe('unfold and fold', () => {
  it('lay windows out as columns, channels outermost', () => {
    const x = reshape(arange(18), [1, 2, 3, 3]);
    const columns = unfold(x, { kernelSize: 2 });
    expect(columns.shape).toEqual([1, 8, 4]);
    expect(flat(columns).slice(0, 8)).toEqual([0, 1, 3, 4, 1, 2, 4, 5]);
    expect(flat(columns).slice(16, 20)).toEqual([9, 10, 12, 13]);
    const counts = fold(ones([1, 8, 4]), { kernelSize: 2, outputSize: [3, 3] });
    expect(flat(counts).slice(0, 9)).toEqual([1, 2, 1, 2, 4, 2, 1, 2, 1]);
    expect(flat(fold(columns, { kernelSize: 2, outputSize: [3, 3] }))).toEqual(flat(mul(x, counts)));
  });

  it('work over 1 and 3 axes, and on nothing', () => {
    expect(unfold(zeros([2, 3, 4, 4, 4]), { kernelSize: [1, 2, 2], stride: 2 }).shape).toEqual([2, 12, 8]);
    expect(unfold(zeros([0, 3, 4]), { kernelSize: 2 }).shape).toEqual([0, 6, 3]);
    expect(fold(zeros([0, 6, 3]), { kernelSize: 2, outputSize: [4] }).shape).toEqual([0, 3, 4]);
  });
});
