import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alone, expectSame, runOn, values, wild } from '../../../../../../test/support/loops.js';
import { type WindowGeometry, windowAxis, windowGeometry } from '../../../geometry/window.js';
import { sizeOf } from '../../../shape.js';

const axis = (longest: number) =>
  fc
    .record({
      n: fc.integer({ min: 1, max: longest }),
      k: fc.constantFrom(1, 2, 3, 5),
      s: fc.constantFrom(1, 2, 3),
      d: fc.constantFrom(1, 1, 2),
      p: fc.constantFrom(0, 0, 1, 2),
    })
    .filter(({ n, k, s, d, p }) => windowAxis(n, k, s, d, p, false) >= 1 && 2 * p <= k);

/** Windows over so many axes. */
const windowsOver = (longest: number, most: number) =>
  fc
    .record({
      axes: fc.array(axis(longest), { minLength: 1, maxLength: most }),
      batch: fc.constantFrom(0, 1, 2),
      channels: fc.constantFrom(1, 3, 20),
      ceilMode: fc.boolean(),
    })
    .map(({ axes, batch, channels, ceilMode }): WindowGeometry => {
      const options = {
        kernelSize: axes.map(({ k }) => k),
        stride: axes.map(({ s }) => s),
        dilation: axes.map(({ d }) => d),
        padding: axes.map(({ p }) => p),
        ceilMode,
      };
      return windowGeometry(
        'test',
        [batch, channels, ...axes.map(({ n }) => n)],
        options,
        axes.length,
        'one',
      );
    });
const windows = windowsOver(12, 3);

const planes = (w: WindowGeometry) => w.batch * w.channels;

describe('pooling', () => {
  it('finds the largest value and its place: the first of equals, a NaN before all', () => {
    fc.assert(
      fc.property(fc.oneof(windows, windowsOver(40, 2)), fc.nat(), (w, seed) => {
        const x = wild(planes(w) * sizeOf(w.inputSize), seed);
        expectSame('pool.argMax', [x], w);
        expectSame('pool.max', [x], w);
      }),
      { numRuns: 200 },
    );
  });

  it('averages, with the padding counted and without, and spreads back', () => {
    fc.assert(
      fc.property(windows, fc.boolean(), fc.nat(), (window, countIncludePad, seed) => {
        const attributes = { window, countIncludePad };
        const [x, y] = [window.inputSize, window.outputSize].map((size) => planes(window) * sizeOf(size));
        expectSame('pool.average', [values(x, seed)], attributes, 1e-6, 1);
        expectSame('pool.averageGrad', [values(y, seed)], attributes, 1e-6, 1);
      }),
      { numRuns: 200 },
    );
  });

  it('averages whole pictures without losing anything', () => {
    const window = windowGeometry('test', [1, 2, 300, 301], { kernelSize: [300, 301] }, 2, 'kernelSize');
    const x = values(2 * 300 * 301, 9).map(Math.abs);
    expectSame('pool.average', [x], { window, countIncludePad: true }, 2e-7);
  });
});

describe('values by place', () => {
  it('are gathered and scattered, plane by plane', () => {
    const places = fc.record({
      planes: fc.constantFrom(0, 1, 3),
      many: fc.integer({ min: 1, max: 9 }),
      few: fc.constantFrom(0, 1, 4, 11),
      seed: fc.nat(),
      mode: fc.constantFrom('add' as const, 'set' as const),
    });
    fc.assert(
      fc.property(places, ({ planes, many, few, seed, mode }) => {
        const index = Int32Array.from(values(planes * few, seed), (v) => Math.floor(((v + 2) / 4) * many));
        expectSame('plane.gather', [values(planes * many, seed), index], { planes, from: many, to: few });
        expectSame(
          'plane.scatter',
          [values(planes * few, seed), index],
          { planes, from: few, to: many, mode },
          1e-6,
          1,
        );
      }),
    );
  });
});

describe('unfold and fold', () => {
  it('copy windows to columns and add columns to windows', () => {
    fc.assert(
      fc.property(windows, fc.nat(), (w, seed) => {
        const columns = planes(w) * sizeOf(w.kernelSize) * sizeOf(w.outputSize);
        expectSame('unfold', [wild(planes(w) * sizeOf(w.inputSize), seed)], w);
        // Up to some fifty terms of up to 2, added in float32.
        expectSame('fold', [values(columns, seed)], w, 1e-6, 10);
      }),
      { numRuns: 200 },
    );
  });
});

describe('matmul', () => {
  const check = (
    batch: number,
    m: number,
    n: number,
    k: number,
    transposeA: boolean,
    transposeB: boolean,
  ) => {
    const [a, b] = [values(batch * m * k, 1), values(batch * k * n, 2)];
    expectSame('matmul', [a, b], { batch, m, n, k, transposeA, transposeB }, 1e-5, Math.sqrt(k));
  };
  const size = fc.constantFrom(0, 1, 2, 3, 5, 6, 7, 8, 9, 13, 17, 25);

  it('multiplies matrices of any size, stored either way', () => {
    fc.assert(fc.property(fc.constantFrom(0, 1, 2, 5), size, size, size, fc.boolean(), fc.boolean(), check), {
      numRuns: 300,
    });
  });

  it.each([
    [1, 64, 65, 1000],
    [1, 1, 1000, 300],
    [1, 1000, 1, 300],
    [2, 130, 70, 257],
    [1, 3, 5000, 2],
    [1, 5000, 3, 2],
    [40, 16, 16, 16],
  ])('multiplies %i × (%i, k) · (k, %i), k = %i', (batch, m, n, k) => {
    for (const transposeA of [false, true])
      for (const transposeB of [false, true]) check(batch, m, n, k, transposeA, transposeB);
  });

  it('makes another product of the same shape with other numbers', () => {
    const attributes = { batch: 1, m: 7, n: 9, k: 4, transposeA: false, transposeB: false };
    const [first, second] = [1, 2].map((seed) =>
      runOn(alone, 'matmul', [values(28, seed), values(36, seed)], attributes),
    );
    expect(first).not.toEqual(second);
    expectSame('matmul', [values(28, 2), values(36, 2)], attributes, 1e-5, 2);
  });
});
