/** What `deconv verify` rests on: that cases are drawn again from a seed, and that a wrong result does not pass. */
import { add, type Tensor, tensor } from 'deconv';
import { describe, expect, it } from 'vitest';
import { conclude, type Finding, inWords } from './commands/verify.js';
import { Failure } from './terminal.js';
import { type Case, compute, differenceOf, drawCase, KERNELS, termsOf } from './verification.js';

const draw = (seed: number, count: number) =>
  Array.from({ length: count }, (_, number) => drawCase(seed, number));

/** One number of the tensor moved by this share of the largest. */
function disturbed(t: Tensor, at: number, share: number): Tensor {
  const values = Float32Array.from(t.data);
  values[at] += share * values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return tensor(values, t.shape);
}

describe('drawCase', () => {
  it('gives the same sequence for a seed, and another for another', () => {
    expect(draw(3, 30)).toEqual(draw(3, 30));
    expect(draw(3, 30)).not.toEqual(draw(4, 30));
  });

  it('draws every kernel and rank, groups, averages, bias, and sizes around the tile', () => {
    const cases = draw(1, 300);
    expect(new Set(cases.map(({ kernel }) => kernel))).toEqual(new Set(KERNELS));
    expect(new Set(cases.map(({ input }) => input.length))).toEqual(new Set([3, 4, 5]));
    for (const some of [
      (c: Case) => c.options.groups > 1,
      (c: Case) => c.options.overlap === 'average',
      (c: Case) => c.bias,
      (c: Case) => c.options.padding.some(([before, after]) => before < 0 && after > 0),
      (c: Case) => c.options.outputPadding?.some((n) => n > 0) ?? false,
      (c: Case) => c.kernel === 'conv' && c.weight[0] % 6 === 5,
    ]) {
      expect(cases.filter(some).length).toBeGreaterThan(2);
    }
  });
});

describe('differenceOf', () => {
  it('lets the engine pass, and nothing that is off by more than rounding', () => {
    for (const c of draw(2, 40)) {
      const [result, expected] = [compute(c, 'float32'), compute(c, 'float64')];
      const right = differenceOf(result, expected, termsOf(c));
      expect(right.relative, JSON.stringify(c)).toBeLessThan(right.tolerance);
      // Where no tap reaches an input there is nothing to be wrong about.
      if (expected.data.every((value) => value === 0)) continue;
      const at = c.seed % result.size;
      const wrong = differenceOf(disturbed(result, at, 4 * right.tolerance), expected, termsOf(c));
      expect(wrong.relative).toBeGreaterThan(wrong.tolerance);
      const strides = result.shape.map((_, axis) => result.shape.slice(axis + 1).reduce((a, b) => a * b, 1));
      expect(wrong.index.reduce((sum, i, axis) => sum + i * strides[axis], 0)).toBe(at);
      const none = differenceOf(disturbed(result, at, Number.NaN), expected, termsOf(c));
      expect(none.relative).toBe(Number.POSITIVE_INFINITY);
    }
  });

  it('takes the magnitude of the largest output and the root of the terms', () => {
    const [a, b] = [tensor([1, -2.5, 3]), tensor([1, -2, 4])];
    expect(differenceOf(a, b, 16)).toEqual({
      relative: 0.25,
      index: [2],
      got: 3,
      expected: 4,
      tolerance: 4e-5,
    });
    expect(differenceOf(b, b, 1)).toMatchObject({ relative: 0 });
    expect(() => differenceOf(a, add(tensor([[1]]), b), 1)).toThrow('shape');
  });
});

describe('conclude', () => {
  const [c] = draw(5, 1);
  const finding = (number: number, relative: number): Finding => ({
    number,
    case: c,
    difference: { relative, index: [0, 1], got: 2, expected: 1, tolerance: 1e-5 },
  });
  const report = (failures: Finding[]) => ({
    seed: 5,
    cases: 1234,
    milliseconds: 1,
    worst: new Map(),
    failures,
  });

  it('ends quietly where all agree', () => {
    expect(conclude(report([]))).toBeUndefined();
  });

  it('fails with code 1, the worst layer, and the way back to it', () => {
    let thrown: unknown;
    try {
      conclude(report([finding(7, 0.1), finding(9, 0.5), finding(11, 0.2)]));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Failure);
    const { message, hint, exitCode } = thrown as Failure;
    expect(exitCode).toBe(1);
    expect(message).toContain('3 of 1,234 layers differ from their definition; the worst: layer 9,');
    expect(message).toContain(inWords(finding(9, 0.5)));
    expect(message).toContain('at [0, 1] 2 instead of 1, 5.0e-1 of the largest, allowed 1.0e-5');
    expect(hint).toContain('--seed 5 --count 10');
  });
});
