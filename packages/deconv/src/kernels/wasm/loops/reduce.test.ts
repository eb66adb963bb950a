import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alone, expectSame, runOn, values, wild } from '../../../../../../test/support/loops.js';
import { sizeOf } from '../../../shape.js';

const shapes = fc.array(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 13), { maxLength: 5 }).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    axes: fc.subarray(shape.map((_, axis) => axis)),
    seed: fc.nat(),
  }),
);

/** Shapes and axes as networks have them: trailing, leading, per channel, in the middle, all, long rows, many rows. */
const USUAL = [
  { shape: [7, 5, 1100], axes: [2] },
  { shape: [300, 2500], axes: [0] },
  { shape: [3, 5, 40, 33], axes: [0, 2, 3] },
  { shape: [3, 50, 129], axes: [1] },
  { shape: [40_001], axes: [0] },
  { shape: [20_000, 3], axes: [0] },
  { shape: [20_000, 3], axes: [1] },
  { shape: [2, 3, 4, 5, 6, 7], axes: [1, 3, 5] },
  { shape: [2, 3, 4, 5, 6, 7], axes: [0, 2, 4] },
];

describe('reductions', () => {
  it.each(['sum', 'max', 'min'] as const)('%s over any axes of any shape', (fn) => {
    fc.assert(
      fc.property(shapes, ({ shape, axes, seed }) => {
        expectSame('reduce', [values(sizeOf(shape), seed)], { fn, shape, axes }, 1e-6, 1e-1);
      }),
    );
    for (const { shape, axes } of USUAL)
      expectSame('reduce', [values(sizeOf(shape), 5)], { fn, shape, axes }, 1e-6, 1e-1);
  });

  it.each(['sum', 'max', 'min'] as const)('%s of NaN and infinities', (fn) => {
    fc.assert(
      fc.property(shapes, ({ shape, axes, seed }) => {
        expectSame('reduce', [wild(sizeOf(shape), seed)], { fn, shape, axes }, 1e-6, 1e-1);
      }),
    );
  });

  it('argMax along any axis: the first of equals, a NaN before all', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.constantFrom(0, 1, 2, 5), fc.constantFrom(1, 2, 3, 9), fc.constantFrom(0, 1, 2, 7)),
        fc.nat(2),
        fc.nat(),
        (lengths, axis, seed) => {
          const shape = [...lengths.slice(0, axis), Math.max(1, lengths[axis]), ...lengths.slice(axis + 1)];
          expectSame('argMax', [wild(sizeOf(shape), seed)], { shape, axis });
        },
      ),
    );
    const lowest = new Float32Array(4).fill(Number.NEGATIVE_INFINITY);
    expectSame('argMax', [lowest], { shape: [4], axis: 0 });
  });

  it('sums ten million numbers without losing any', () => {
    const x = new Float32Array(1e7).fill(0.1);
    x[0] = 1e6;
    const exact = 1e6 + (1e7 - 1) * x[1];
    const [total] = runOn(alone, 'reduce', [x], { fn: 'sum', shape: [1e7], axes: [0] });
    expect(Math.abs(total / exact - 1)).toBeLessThan(1e-7);
    const [first] = runOn(alone, 'reduce', [x], { fn: 'sum', shape: [5e6, 2], axes: [0] });
    expect(Math.abs(first / (1e6 + (5e6 - 1) * x[1]) - 1)).toBeLessThan(1e-7);
  });
});

describe('softmax', () => {
  const sizes = fc.record({
    outer: fc.constantFrom(0, 1, 2, 5),
    length: fc.constantFrom(1, 2, 3, 7, 10),
    inner: fc.constantFrom(0, 1, 2, 3, 9),
    log: fc.boolean(),
    seed: fc.nat(),
  });

  it('along any axis, and its logarithm', () => {
    const check = (outer: number, length: number, inner: number, log: boolean, seed = 1) => {
      const x = values(outer * length * inner, seed).map((v) => 20 * v);
      expectSame('softmax', [x], { outer, length, inner, log }, 2e-6, log ? 1 : 1e-10);
    };
    fc.assert(fc.property(sizes, (s) => check(s.outer, s.length, s.inner, s.log, s.seed)));
    for (const log of [false, true]) {
      check(3, 21, 1701, log);
      check(5000, 10, 1, log);
      check(2, 40_000, 1, log);
      check(1, 40_000, 3, log);
      check(400, 5, 4, log);
    }
  });

  it('of infinities and NaN', () => {
    fc.assert(
      fc.property(sizes, ({ outer, length, inner, log, seed }) => {
        expectSame('softmax', [wild(outer * length * inner, seed)], { outer, length, inner, log }, 2e-6, 1);
      }),
    );
  });
});
