import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensor.js';
import { full, ones, tensor, zeros } from './create.js';
import { argMax, max, mean, min, sum, variance } from './reduce.js';

const grid = tensor([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]); // biome-ignore format: matrices
const NAN = Number.NaN;

describe('axes', () => {
  it('reduces all, one, several, in any order, by number, list or options', () => {
    expect(sum(grid).toArray()).toBe(78);
    expect(sum(grid, 0).toArray()).toEqual([[8, 10, 12], [14, 16, 18]]); // biome-ignore format: a matrix
    expect(sum(grid, [2, 0]).toArray()).toEqual([30, 48]);
    expect(sum(grid, { axis: [-1, 0] }).toArray()).toEqual([30, 48]);
    expect(sum(grid, { axis: 1, keepDims: true }).toArray()).toEqual([[[5, 7, 9]], [[17, 19, 21]]]);
    expect(sum(grid, { keepDims: true }).shape).toEqual([1, 1, 1]);
    expect(sum(grid, []).toArray()).toEqual(grid.toArray());
    expect(mean(grid, [1, 2]).toArray()).toEqual([3.5, 9.5]);
    expect(sum(tensor(5)).toArray()).toBe(5);
    expect(max(grid, 1).toArray()).toEqual([[4, 5, 6], [10, 11, 12]]); // biome-ignore format: a matrix
    expect(min(grid, [0, 2]).toArray()).toEqual([1, 4]);
  });

  it('complains under the name that was called', () => {
    expect(() => sum(grid, 3)).toThrow(
      'sum: axis must be an integer in [-3, 2] for a tensor of rank 3, got 3',
    );
    expect(() => mean(grid, 3)).toThrow('mean: axis must be an integer in [-3, 2]');
    expect(() => variance(grid, { axis: -4 })).toThrow('variance: axis must be an integer in [-3, 2]');
    expect(() => max(grid, [0, 0])).toThrow('max: axis names axis 0 twice');
    expect(() => sum(grid, { dim: 1 } as never)).toThrow(
      "sum: unknown option 'dim' — known options are axis, keepDims",
    );
    expect(() => sum(grid, { axis: null } as never)).toThrow(
      'sum: axis must be an integer in [-3, 2] for a tensor of rank 3, got null',
    );
    expect(() => sum(tensor([1], { dtype: 'int32' }))).toThrow(
      "sum: x must be float32 or float64, got int32 — cast(x, 'float32')",
    );
    expect(() => variance(grid, { correction: '1' as never })).toThrow(
      'variance: correction must be a number, got "1"',
    );
  });
});

describe('nothing to reduce', () => {
  it('sums to 0, has no mean, and no extremum', () => {
    const empty = zeros([2, 0]);
    expect(sum(empty).item()).toBe(0);
    expect(sum(empty, 1).toArray()).toEqual([0, 0]);
    expect(sum(empty, 0).shape).toEqual([0]);
    expect(mean(empty, 1).toArray()).toEqual([NAN, NAN]);
    expect(max(empty, 0).shape).toEqual([0]);
    expect(() => max(empty, 1)).toThrow('max: max of no elements has no value');
    expect(() => min(empty)).toThrow('min: min of no elements has no value');
    expect(() => argMax(empty)).toThrow('argMax: argMax of no elements has no value');
    expect(argMax(empty, 0).shape).toEqual([0]);
  });

  it('gives zeros of gradients back', () => {
    const x = zeros([0, 3], { requiresGrad: true });
    sum(x).backward();
    expect(x.grad?.shape).toEqual([0, 3]);
  });
});

describe('values', () => {
  it('sums float32 in float64', () => {
    // 2²⁴ + 1 + 1 …: each 1 alone would be lost in float32.
    const x = tensor([2 ** 24, ...new Array(100).fill(1)]);
    expect(sum(x).item()).toBe(2 ** 24 + 100);
  });

  it('has both variances', () => {
    const x = tensor([1, 2, 3, 6], { dtype: 'float64' });
    expect(variance(x).item()).toBeCloseTo(14 / 3, 14);
    expect(variance(x, { correction: 0 }).item()).toBe(3.5);
    expect(variance(grid, { axis: 2, keepDims: true }).shape).toEqual([2, 2, 1]);
    expect(variance(tensor([3])).item()).toBeNaN();
    expect(variance(tensor([3]), { correction: 0 }).item()).toBe(0);
  });

  it('carries NaN', () => {
    const x = tensor([[1, NAN, 3], [1, 2, 3]]); // biome-ignore format: a matrix
    expect(sum(x, 1).toArray()).toEqual([NAN, 6]);
    expect(max(x, 1).toArray()).toEqual([NAN, 3]);
    expect(min(x, 1).toArray()).toEqual([NAN, 1]);
    expect(argMax(x).toArray()).toEqual([1, 2]);
  });

  it('finds the first of equal maxima, along any axis', () => {
    const x = tensor([[3, 1, 3], [3, 4, -1]]); // biome-ignore format: a matrix
    expect([argMax(x).toArray(), argMax(x, 0).toArray()]).toEqual([[0, 1], [0, 1, 0]]); // biome-ignore format: pairs
    expect(argMax(x).dtype).toBe('int32');
    expect(argMax(full([3], Number.NEGATIVE_INFINITY)).item()).toBe(0);
    expect(argMax(tensor([5, 250], { dtype: 'uint8' })).item()).toBe(1);
    const cube = tensor(
      Array.from({ length: 24 }, (_, i) => (i * 7) % 24),
      [2, 3, 4],
    );
    const positions = argMax(cube, 1);
    for (let i = 0; i < 2; i++)
      for (let k = 0; k < 4; k++) {
        const column = [0, 1, 2].map((j) => cube.data[(i * 3 + j) * 4 + k]);
        expect(positions.data[i * 4 + k]).toBe(column.indexOf(Math.max(...column)));
      }
  });
});

describe('gradients of extrema', () => {
  const gradient = (f: (x: Tensor) => Tensor, values: number[][]) => {
    const x = tensor(values, { requiresGrad: true });
    const y = f(x);
    y.backward(ones(y.shape));
    return x.grad?.toArray();
  };

  it('are shared evenly by equals', () => {
    expect(gradient((x) => max(x, 1), [[2, 2, 1], [0, 5, 1]])).toEqual([[0.5, 0.5, 0], [0, 1, 0]]); // biome-ignore format: a matrix
    expect(gradient((x) => min(x), [[2, 2], [2, 2]])).toEqual([[0.25, 0.25], [0.25, 0.25]]); // biome-ignore format: a matrix
    expect(gradient((x) => max(x, { axis: 0, keepDims: true }), [[1, 2], [3, 2]])).toEqual([[0, 0.5], [1, 0.5]]); // biome-ignore format: a matrix
  });

  it('do not follow a later assignment', () => {
    const x = tensor([1, 5], { requiresGrad: true });
    const y = max(x);
    x.assign(tensor([9, 0]));
    y.backward();
    expect(x.grad?.toArray()).toEqual([0, 1]);
  });
});
