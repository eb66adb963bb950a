import { describe, expect, it } from 'vitest';
import { ones, tensor, zeros } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import { dctBank } from './bank.js';
import { toDisplay } from './display.js';
import { coverage, unrolledMatrix } from './matrix.js';

const flat = (x: Tensor): number[] => Array.from(x.data);

describe('toDisplay', () => {
  it('stretches each picture, or each channel, by itself', () => {
    const x = tensor([0, 10, 20, 30, -1, 0, 0, 1], [2, 2, 1, 2]);
    expect(flat(toDisplay(x))).toEqual([0, 85, 170, 255, 0, 127, 127, 255]);
    expect(flat(toDisplay(x, { per: 'channel' }))).toEqual([0, 255, 0, 255, 0, 255, 0, 255]);
    expect(flat(toDisplay(tensor([[0, 1], [2, 4]]), { dtype: 'float64' }))).toEqual([0, 63.75, 127.5, 255]); // biome-ignore format: a matrix
  });

  it('shows a constant as 0, and nothing as nothing', () => {
    expect(flat(toDisplay(ones([2, 2])))).toEqual([0, 0, 0, 0]);
    expect(toDisplay(zeros([0, 3, 2, 2])).shape).toEqual([0, 3, 2, 2]);
    expect(toDisplay(zeros([2, 0])).shape).toEqual([2, 0]);
  });

  it('is never NaN: NaN counts as 0, infinities as the ends, neither for the range', () => {
    const x = tensor([[Number.NaN, 1, 3, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]]);
    expect(flat(toDisplay(x, { dtype: 'float32' }))).toEqual([0, 0, 255, 255, 0]);
    expect(flat(toDisplay(x, { dtype: 'float32', signed: true }))[0]).toBe(128);
    const nothing = tensor([[Number.NaN, Number.POSITIVE_INFINITY]]);
    expect(flat(toDisplay(nothing))).toEqual([0, 0]);
  });

  it('takes the widest range that float64 has', () => {
    const x = tensor([[-Number.MAX_VALUE, 0, Number.MAX_VALUE]], { dtype: 'float64' });
    expect(flat(toDisplay(x))).toEqual([0, 127, 255]);
    expect(flat(toDisplay(x, { dtype: 'float64' }))).toEqual([0, 127.5, 255]);
    expect(flat(toDisplay(x, { signed: true }))).toEqual([1, 128, 255]);
  });

  it('shows signed values around mid-grey', () => {
    expect(flat(toDisplay(tensor([[-2, 0, 1]]), { signed: true }))).toEqual([1, 128, 192]);
    expect(flat(toDisplay(zeros([1, 2]), { signed: true }))).toEqual([128, 128]);
    expect(flat(toDisplay(tensor([[-4, 0, 4]]), { signed: true, dtype: 'float64' }))).toEqual([1, 128, 255]);
  });

  it('refuses options that it does not know', () => {
    const x = zeros([2, 2]);
    expect(() => toDisplay(x, { per: 'pixel' as never })).toThrow(
      "toDisplay: per must be one of 'image', 'channel', got \"pixel\"",
    );
    expect(() => toDisplay(x, { dtype: 'int32' as never })).toThrow(
      "toDisplay: dtype must be one of 'uint8', 'float32', 'float64'",
    );
    expect(() => toDisplay(x, { signed: 1 as never })).toThrow(
      'toDisplay: signed must be true or false, got 1',
    );
  });
});

describe('coverage and the matrix', () => {
  it('counts what the crop leaves, and holes', () => {
    expect(flat(coverage([3], { kernelSize: 3, stride: 2, padding: 1 }))).toEqual([1, 2, 1, 2, 1]);
    expect(flat(coverage([2], { kernelSize: 2, stride: 3 }))).toEqual([1, 1, 0, 1, 1]);
    expect(flat(coverage([2], { kernelSize: 1, padding: [[-1, -2]] }))).toEqual([0, 1, 1, 0, 0]);
    expect(coverage([2, 3, 4], { kernelSize: [1, 2, 3] }).shape).toEqual([2, 4, 6]);
    expect(Math.max(...flat(coverage([20], { kernelSize: 17 })))).toBe(17);
  });

  it('takes channels, groups, a batch of one, and refuses the enormous', () => {
    const w = ones([2, 1, 2]);
    const expected = [[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]]; // biome-ignore format: a matrix
    for (const shape of [[3], [2, 3], [1, 2, 3]]) {
      expect(unrolledMatrix(w, shape, { groups: 2 }).toArray()).toEqual(expected);
    }
    expect(() => unrolledMatrix(ones([1, 1, 1, 1]), [227, 227])).toThrow(
      'unrolledMatrix: the matrix would be 51529×51529, more than 16777216 elements to write out',
    );
  });
});

describe('dctBank', () => {
  it.each([
    [{ channels: 3, kernelSize: 4 }],
    [{ channels: 2, kernelSize: [3, 5] }],
    [{ channels: 1, kernelSize: 1 }],
  ])('is orthonormal: %j', (options) => {
    const bank = dctBank({ ...options, dtype: 'float64' });
    const size = bank.shape.slice(1).reduce((a, b) => a * b, 1);
    expect(bank.shape[0]).toBe(size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let dot = 0;
        for (let k = 0; k < size; k++) dot += bank.data[i * size + k] * bank.data[j * size + k];
        expect(dot).toBeCloseTo(i === j ? 1 : 0, 12);
      }
    }
  });

  it('starts with the mean, and refuses more filters than dimensions', () => {
    const first = dctBank({ channels: 3, kernelSize: 2, filters: 1, dtype: 'float64' });
    for (const value of first.data) expect(value).toBeCloseTo(1 / Math.sqrt(12), 14);
    expect(() => dctBank({ channels: 1, kernelSize: 2, filters: 5 })).toThrow(
      'dctBank: filters 5 must be ≤ 1·2·2 = 4, the dimensions of the kernel',
    );
  });
});
