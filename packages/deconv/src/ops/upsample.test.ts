import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensor.js';
import { arange, ones, tensor, zeros } from './create.js';
import { reshape } from './layout.js';
import { type UpsampleOptions, upsample } from './upsample.js';

const line = (...values: number[]): Tensor => tensor([[values]], { dtype: 'float64' });
const flat = (x: Tensor): number[] => Array.from(x.data);

describe('upsample', () => {
  // By hand: where each output pixel lies in the input.
  it.each<[string, number[], UpsampleOptions, number[]]>([
    ['nearest ×2', [1, 2], { scaleFactor: 2 }, [1, 1, 2, 2]],
    ['nearest to 5', [1, 2, 3], { size: 5 }, [1, 1, 2, 2, 3]],
    ['nearest down', [1, 2, 3, 4, 5], { size: 2 }, [1, 3]],
    ['nearest ×1.5 goes by the factor', [1, 2, 3], { scaleFactor: 1.5 }, [1, 1, 2, 3]],
    ['linear ×2: areas', [0, 4], { scaleFactor: 2, mode: 'linear' }, [0, 1, 3, 4]],
    [
      'linear ×2, corners aligned',
      [0, 3],
      { scaleFactor: 2, mode: 'linear', alignCorners: true },
      [0, 1, 2, 3],
    ],
    ['linear to 5: areas', [0, 10], { size: 5, mode: 'linear' }, [0, 1, 5, 9, 10]],
    [
      'linear to 5, corners aligned',
      [0, 8, 4],
      { size: 5, mode: 'linear', alignCorners: true },
      [0, 4, 8, 6, 4],
    ],
    ['linear to 1 shows the middle', [0, 2, 10], { size: 1, mode: 'linear' }, [2]],
    [
      'linear to 1, corners aligned, shows the first',
      [7, 2, 10],
      { size: 1, mode: 'linear', alignCorners: true },
      [7],
    ],
    ['linear from 1', [7], { size: 3, mode: 'linear' }, [7, 7, 7]],
    ['linear from 1, corners aligned', [7], { size: 3, mode: 'linear', alignCorners: true }, [7, 7, 7]],
    ['linear down by 2', [0, 2, 4, 6], { size: 2, mode: 'linear' }, [1, 5]],
  ])('%s', (_name, values, options, expected) => {
    expect(flat(upsample(line(...values), options))).toEqual(
      expected.map((value) => expect.closeTo(value, 12)),
    );
  });

  it('nearest hits whole positions exactly: 49 · (2 / 98) is 1', () => {
    for (const n of [1, 2, 3, 7]) {
      for (let factor = 1; factor < 60; factor++) {
        const expected = Array.from({ length: n * factor }, (_, o) => Math.floor(o / factor));
        const x = reshape(arange(n), [1, 1, n]);
        expect(flat(upsample(x, { size: n * factor }))).toEqual(expected);
        expect(flat(upsample(x, factor))).toEqual(expected);
      }
    }
  });

  it('treats each axis by itself, over 2 and 3 axes', () => {
    const x = tensor([[[[0, 4], [8, 12]]]], { dtype: 'float64' }); // biome-ignore format: a picture
    const y = upsample(x, { scaleFactor: [1, 2], mode: 'bilinear' });
    expect(y.toArray()).toEqual([[[[0, 1, 3, 4], [8, 9, 11, 12]]]]); // biome-ignore format: a picture
    expect(upsample(zeros([1, 2, 3, 4, 5]), { size: [1, 8, 5] }).shape).toEqual([1, 2, 1, 8, 5]);
    expect(new Set(upsample(ones([1, 1, 2, 3, 2]), { scaleFactor: 2.5, mode: 'trilinear' }).data)).toEqual(
      new Set([1]),
    );
  });

  it('bicubic as PyTorch has it', () => {
    const x = tensor([[[[0, 4, 1], [3, -2, 5]]]], { dtype: 'float64' }); // biome-ignore format: a picture
    const doubled = [-0.8383941650390625, 0.94744873046875, 3.93914794921875, 4.2361602783203125, 1.6707611083984375, 0.150482177734375, 0.472869873046875, 1.1497802734375, 2.2738037109375, 2.681060791015625, 2.141571044921875, 1.82879638671875, 2.632598876953125, 1.4830322265625, -0.4691162109375, 0.119720458984375, 2.917022705078125, 4.59307861328125, 3.9438629150390625, 1.68536376953125, -2.13446044921875, -1.4353790283203125, 3.3878326416015625, 6.271392822265625]; // biome-ignore format: numbers
    expect(flat(upsample(x, { scaleFactor: 2, mode: 'bicubic' }))).toEqual(
      doubled.map((value) => expect.closeTo(value, 12)),
    );
    const aligned = [0, 2.28125, 4, 2.875, 1, 1.5, 1.0625, 1, 1.953125, 3, 3, -0.15625, -2, 1.03125, 5];
    expect(flat(upsample(x, { size: [3, 5], mode: 'bicubic', alignCorners: true }))).toEqual(
      aligned.map((value) => expect.closeTo(value, 12)),
    );
  });

  it('cubic keeps a constant, and a line where all four taps are inside', () => {
    const even = upsample(line(3, 3, 3, 3), { size: 11, mode: 'cubic' });
    expect(flat(even)).toEqual(new Array(11).fill(expect.closeTo(3, 12)));
    const slope = flat(upsample(line(0, 1, 2, 3, 4, 5), { size: 11, mode: 'cubic', alignCorners: true }));
    for (let o = 2; o <= 8; o++) expect(slope[o]).toBeCloseTo(o / 2, 12);
  });

  it('takes an empty batch, and does not spread infinities over exact hits', () => {
    expect(upsample(zeros([0, 3, 4, 4]), 2).shape).toEqual([0, 3, 8, 8]);
    const y = upsample(line(1, Number.POSITIVE_INFINITY), { size: 3, mode: 'linear', alignCorners: true });
    expect(flat(y)).toEqual([1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  });

  const x = zeros([1, 1, 4, 4]);
  const bad: [string, () => unknown][] = [
    ['upsample: give either size or scaleFactor', () => upsample(x, {})],
    ['upsample: give either size or scaleFactor', () => upsample(x, undefined as never)],
    ['upsample: give either size or scaleFactor', () => upsample(x, { size: 8, scaleFactor: 2 })],
    ['upsample: scaleFactor must be a number > 0, or 2 of them, got 0', () => upsample(x, 0)],
    ['upsample: scaleFactor must be a number > 0, or 2 of them, got NaN', () => upsample(x, Number.NaN)],
    ['upsample: scaleFactor must be a number > 0, or 2 of them, got [2]', () => upsample(x, { scaleFactor: [2] })],
    ['upsample: scaleFactor 0.1 leaves nothing of [1, 1, 4, 4]', () => upsample(x, 0.1)],
    ['upsample: size must be an integer ≥ 1, got 2.5', () => upsample(x, { size: 2.5 })],
    ["upsample: mode must be one of 'nearest', 'linear', 'bilinear', 'trilinear', 'cubic', 'bicubic', got \"area\"", () => upsample(x, { size: 8, mode: 'area' as never })],
    ["upsample: mode 'bicubic' is for 2 spatial axes, x has 1 — use 'cubic' for any number", () => upsample(line(1, 2), { size: 8, mode: 'bicubic' })],
    ["upsample: mode 'trilinear' is for 3 spatial axes, x has 2 — use 'linear' for any number", () => upsample(x, { size: 8, mode: 'trilinear' })],
    ["upsample: alignCorners has no meaning with mode 'nearest'", () => upsample(x, { size: 8, alignCorners: true })],
    ["upsample: unknown option 'align_corners' — did you mean 'alignCorners'?", () => upsample(x, { size: 8, align_corners: true } as never)],
    ['upsample: x must be (N, C, …1 to 3 spatial axes), got [4, 4]', () => upsample(zeros([4, 4]), 2)],
    ['upsample: x has an empty spatial axis, shape [1, 1, 0, 4]', () => upsample(zeros([1, 1, 0, 4]), { size: 2 })],
  ]; // biome-ignore format: a table
  it.each(bad)('refuses: %s', (text, call) => expect(call).toThrow(text));
});
