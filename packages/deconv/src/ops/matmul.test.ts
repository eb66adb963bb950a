import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensor.js';
import { randn, tensor, zeros } from './create.js';
import { matmul } from './matmul.js';
import { sum } from './reduce.js';
import { logSoftmax, softmax } from './softmax.js';

/** NumPy's rule, one number at a time. */
function naive(a: Tensor, b: Tensor): { shape: number[]; values: number[] } {
  const p = a.rank === 1 ? [1, a.shape[0]] : [...a.shape];
  const q = b.rank === 1 ? [b.shape[0], 1] : [...b.shape];
  const [m, k, n] = [p[p.length - 2], p[p.length - 1], q[q.length - 1]];
  const [leadA, leadB] = [p.slice(0, -2), q.slice(0, -2)];
  const rank = Math.max(leadA.length, leadB.length);
  const full = (lead: number[]) => [...new Array<number>(rank - lead.length).fill(1), ...lead];
  const [fa, fb] = [full(leadA), full(leadB)];
  const lead = fa.map((length, axis) => (length === 1 ? fb[axis] : length));
  const values: number[] = [];
  const visit = (axis: number, atA: number, atB: number): void => {
    if (axis === rank) {
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let total = 0;
          for (let u = 0; u < k; u++) total += a.data[(atA * m + i) * k + u] * b.data[(atB * k + u) * n + j];
          values.push(total);
        }
      return;
    }
    for (let i = 0; i < lead[axis]; i++)
      visit(axis + 1, atA * fa[axis] + (fa[axis] === 1 ? 0 : i), atB * fb[axis] + (fb[axis] === 1 ? 0 : i));
  };
  visit(0, 0, 0);
  return { shape: [...lead, ...(a.rank === 1 ? [] : [m]), ...(b.rank === 1 ? [] : [n])], values };
}

describe('matmul', () => {
  it('is the definition, for ranks 1 to 4 with broadcast batches', () => {
    const size = fc.integer({ min: 1, max: 3 });
    const operands = fc.record({
      m: size, k: size, n: size,
      lead: fc.array(fc.tuple(size, fc.constantFrom('both', 'a', 'b')), { maxLength: 2 }),
      dropA: fc.integer({ min: 0, max: 2 }),
      dropB: fc.integer({ min: 0, max: 2 }),
      vectorA: fc.boolean(), vectorB: fc.boolean(),
    }); // biome-ignore format: a record
    fc.assert(
      fc.property(operands, ({ m, k, n, lead, dropA, dropB, vectorA, vectorB }) => {
        const leadA = lead.map(([length, who]) => (who === 'b' ? 1 : length)).slice(dropA);
        const leadB = lead.map(([length, who]) => (who === 'a' ? 1 : length)).slice(dropB);
        const a = randn(vectorA ? [k] : [...leadA, m, k], { dtype: 'float64', seed: 1 });
        const b = randn(vectorB ? [k] : [...leadB, k, n], { dtype: 'float64', seed: 2 });
        const { shape, values } = naive(a, b);
        const y = matmul(a, b);
        expect(y.shape).toEqual(shape);
        expect(Array.from(y.data)).toEqual(values.map((value) => expect.closeTo(value, 12)));
      }),
      { numRuns: 200 },
    );
  });

  it('gives a number for two vectors, and nothing for nothing', () => {
    const dot = matmul(tensor([1, 2, 3]), tensor([4, 5, 6]));
    expect([dot.shape, dot.item()]).toEqual([[], 32]);
    expect(matmul(zeros([2, 0]), zeros([0, 3])).toArray()).toEqual([[0, 0, 0], [0, 0, 0]]); // biome-ignore format: a matrix
    expect(matmul(zeros([0, 2, 3]), zeros([3, 4])).shape).toEqual([0, 2, 4]);
    expect(matmul(zeros([0, 3]), zeros([3])).shape).toEqual([0]);
  });

  it('refuses what does not fit', () => {
    expect(() => matmul(zeros([2, 3]), zeros([2, 3]))).toThrow(
      'matmul: inner lengths must agree, got 3 of [2, 3] and 2 of [2, 3]',
    );
    expect(() => matmul(zeros([3]), zeros([2]))).toThrow(
      'matmul: inner lengths must agree, got 3 of [3] and 2 of [2]',
    );
    expect(() => matmul(tensor(1), zeros([2]))).toThrow(
      'matmul: matmul needs operands of rank ≥ 1, use mul for numbers',
    );
    expect(() => matmul(zeros([2, 1, 1]), zeros([3, 1, 1]))).toThrow(
      'matmul: shapes [2] and [3] do not broadcast',
    );
    expect(() => matmul(zeros([1, 1]), zeros([1, 1], { dtype: 'float64' }))).toThrow(
      'matmul: b is float64 but a is float32 — cast one of them',
    );
    expect(() => matmul([[1]] as never, zeros([1]))).toThrow(
      'matmul: a must be a tensor, got [[1]] — wrap it: tensor(values, shape)',
    );
  });
});

describe('softmax', () => {
  it('does not overflow, and ignores a common term', () => {
    const x = tensor([[1000, 1001, 999], [-1000, -999, -1001]], { dtype: 'float64' }); // biome-ignore format: a matrix
    const e = [1, Math.E, 1 / Math.E].map((value) => value / (1 + Math.E + 1 / Math.E));
    for (const y of [softmax(x), softmax(x, 1)]) {
      for (let i = 0; i < 6; i++) expect(y.data[i]).toBeCloseTo(e[i % 3], 14);
    }
    for (let i = 0; i < 6; i++) expect(logSoftmax(x).data[i]).toBeCloseTo(Math.log(e[i % 3]), 12);
    expect(softmax(tensor([1e30, 0])).toArray()).toEqual([1, 0]);
    expect(logSoftmax(tensor([0, 1e30])).toArray()).toEqual([-Math.fround(1e30), 0]);
    expect(logSoftmax(tensor([-200, 0], { dtype: 'float64' })).data[0]).toBeCloseTo(-200, 10);
  });

  it('sums to 1 along the named axis only', () => {
    const x = randn([2, 3, 4], { dtype: 'float64' });
    for (const axis of [0, 1, 2, -1]) {
      for (const total of sum(softmax(x, axis), axis).data) expect(total).toBeCloseTo(1, 14);
    }
    expect(softmax(zeros([1, 5]), 0).toArray()).toEqual([[1, 1, 1, 1, 1]]);
  });

  it('gives −∞ no share, NaN everything, and nothing for nothing', () => {
    expect(softmax(tensor([Number.NEGATIVE_INFINITY, 0, 0])).toArray()).toEqual([0, 0.5, 0.5]);
    expect(softmax(tensor([Number.NaN, 0])).toArray()).toEqual([Number.NaN, Number.NaN]);
    expect(softmax(zeros([2, 0])).shape).toEqual([2, 0]);
    expect(() => softmax(zeros([2]), 1)).toThrow(
      'softmax: axis must be an integer in [-1, 0] for a tensor of rank 1, got 1',
    );
  });
});
