import { describe, expect, it } from 'vitest';
import { record, run } from './autograd.js';
import { adjointCheck, gradcheck } from './checks.js';
import * as functions from './functions.js';
import { unary } from './operations.js';
import { randn, tensor } from './ops/create.js';
import { mul, sigmoid, square } from './ops/elementwise.js';
import { flip, slice } from './ops/layout.js';
import { sum } from './ops/reduce.js';
import type { Tensor } from './tensor.js';

const at = () => randn([2, 3], { dtype: 'float64', seed: 3 });

/** x² with a gradient of the caller's making. */
const squareWith = (vjp: (g: Tensor, x: Tensor) => Tensor) => (x: Tensor) =>
  record('wrong', run(unary, [x], { fn: functions.square, order: 0, parameters: [] }, x.shape), [x], (g) => [
    vjp(g, x),
  ]);

describe('gradcheck', () => {
  it('accepts right gradients', () => {
    expect(gradcheck(sigmoid, [at()]).ok).toBe(true);
    expect(gradcheck(mul, [at(), randn([3], { dtype: 'float64' })]).ok).toBe(true);
    expect(
      gradcheck(
        squareWith((g, x) => mul(g, mul(x, 2))),
        [at()],
      ).ok,
    ).toBe(true);
  });

  it('rejects wrong ones, and says where', () => {
    expect(
      gradcheck(
        squareWith((g, x) => mul(g, x)),
        [at()],
      ).ok,
    ).toBe(false);
    // Wrong in the last element only.
    const factor = tensor([[2, 2, 2], [2, 2, 2.01]], { dtype: 'float64' }); // biome-ignore format: a matrix
    const report = gradcheck(
      squareWith((g, x) => mul(g, mul(x, factor))),
      [at()],
    );
    expect(report.ok).toBe(false);
    expect([report.worst.input, report.worst.element]).toEqual([0, 5]);
    expect(report.worst.analytic / report.worst.numeric).toBeCloseTo(1.005, 6);
  });

  it('rejects a NaN wherever it is', () => {
    for (let i = 0; i < 6; i++) {
      const factor = tensor(
        Array.from({ length: 6 }, (_, j) => (i === j ? Number.NaN : 2)),
        [2, 3],
        { dtype: 'float64' },
      );
      const report = gradcheck(
        squareWith((g, x) => mul(g, mul(x, factor))),
        [at()],
      );
      expect([report.ok, report.worst.element]).toEqual([false, i]);
      expect(report.error).toBeNaN();
    }
  });

  it('leaves its inputs alone', () => {
    const x = at();
    x.requiresGrad = true;
    gradcheck((y) => sum(square(y)), [x]);
    expect(x.grad).toBeNull();
    expect(Array.from(x.data)).toEqual(Array.from(at().data));
  });

  it('refuses float32 and unknown options', () => {
    expect(() => gradcheck(sigmoid, [randn([2])])).toThrow(
      'gradcheck: inputs[0] must be a float64 tensor, got float32',
    );
    // @ts-expect-error unknown
    expect(() => gradcheck(sigmoid, [at()], { eps: 1 })).toThrow("gradcheck: unknown option 'eps'");
  });
});

describe('adjointCheck', () => {
  it('accepts a transpose and rejects what is not', () => {
    const tail = (x: Tensor) => slice(x, { start: [1] });
    expect(
      adjointCheck(
        (x) => flip(x, 0),
        (y) => flip(y, 0),
        [5],
      ).ok,
    ).toBe(true);
    const report = adjointCheck(
      (x) => flip(x, 0),
      (y) => mul(y, 1),
      [5],
    );
    expect(report.ok).toBe(false);
    expect(Math.abs(report.forward - report.backward)).toBeGreaterThan(0.01);
    expect(
      adjointCheck(
        (x) => mul(x, Number.NaN),
        (y) => y,
        [5],
      ).ok,
    ).toBe(false);
    expect(() => adjointCheck(tail, tail, [5])).toThrow(
      'adjointCheck: adjoint gives shape [3], must give that of x, [5]',
    );
  });
});
