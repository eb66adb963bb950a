import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alone, expectSame, runOn, values, wild } from '../../../../../../test/support/loops.js';
import { sizeOf, stridesOf } from '../../../shape.js';

/** A view of a whole array: its axes permuted, reversed, repeated, with steps, cut at both ends. */
const views = fc
  .array(
    fc.record({
      length: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 17, 20),
      before: fc.nat(2),
      after: fc.nat(1),
      step: fc.constantFrom(1, 1, 1, 2, 3),
      turned: fc.boolean(),
      repeat: fc.constantFrom(0, 0, 0, 1, 3),
      order: fc.nat(),
    }),
    { maxLength: 4 },
  )
  .map((axes) => {
    const whole = axes.map(({ length, before, after, step }) => before + after + Math.max(1, length * step));
    const strides = stridesOf(whole);
    let offset = 0;
    const list = axes.map(({ length, before, step, turned, repeat, order }, axis) => {
      const stride = repeat > 0 ? 0 : turned ? -step * strides[axis] : step * strides[axis];
      const first = before + (turned && repeat === 0 ? Math.max(0, length - 1) * step : 0);
      offset += first * strides[axis];
      return { length: repeat > 0 ? repeat : length, stride, order };
    });
    list.sort((a, b) => a.order - b.order);
    const view = { shape: list.map((a) => a.length), strides: list.map((a) => a.stride), offset };
    return { view, length: sizeOf(whole) };
  });

describe('strided views', () => {
  it('are read, whatever the order, sign and size of the strides', () => {
    fc.assert(
      fc.property(views, fc.nat(), ({ view, length }, seed) => {
        expectSame('strided.read', [wild(length, seed)], view);
      }),
      { numRuns: 300 },
    );
  });

  it('are written, set or added, the last of repeated elements set, all of them added', () => {
    fc.assert(
      fc.property(
        views,
        fc.constantFrom('set', 'add'),
        fc.constantFrom(0, 1.5),
        fc.nat(),
        (v, mode, one, seed) => {
          const fill = mode === 'add' ? 0 : one;
          const attributes = { ...v.view, length: v.length, mode: mode as 'set' | 'add', fill };
          expectSame('strided.write', [wild(sizeOf(v.view.shape), seed)], attributes, 1e-6, 1);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('may overlap in reading: windows of a row', () => {
    expectSame('strided.read', [values(10, 1)], { shape: [6, 3], strides: [1, 1], offset: 1 });
  });

  it.each([
    ['channels last', [2, 33, 70, 5], [0, 2, 3, 1]],
    ['channels first', [2, 33, 70, 5], [0, 3, 1, 2]],
    ['three channels last', [2, 3, 41, 43], [0, 2, 3, 1]],
    ['a large matrix', [517, 1031], [1, 0]],
    ['many small matrices', [3000, 3, 5], [0, 2, 1]],
    ['axes reversed', [5, 6, 7, 8, 9], [4, 3, 2, 1, 0]],
    ['heads of attention', [2, 50, 4, 16], [0, 2, 1, 3]],
  ])('permutes: %s', (_, shape, order) => {
    const strides = stridesOf(shape);
    const view = { shape: order.map((a) => shape[a]), strides: order.map((a) => strides[a]), offset: 0 };
    const x = values(sizeOf(shape), 3);
    expectSame('strided.read', [x], view);
    expectSame('strided.write', [x], { ...view, length: x.length, mode: 'set', fill: 0 });
  });

  it('sums a broadcast exactly enough', () => {
    const x = new Float32Array(2e6).fill(0.1);
    const view = { shape: [1e6, 2], strides: [0, 1], offset: 0 };
    const [a, b] = runOn(alone, 'strided.write', [x], { ...view, length: 2, mode: 'add', fill: 0 });
    expect(Math.abs(a / (1e6 * x[0]) - 1)).toBeLessThan(1e-7);
    expect(b).toBe(a);
  });
});

describe('concat', () => {
  it('joins pieces of any length, empty ones too', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 2, 5),
        fc.array(fc.constantFrom(0, 1, 3, 4, 7, 16), { minLength: 1, maxLength: 4 }),
        (outer, lengths) => {
          const inputs = lengths.map((length, i) => values(outer * length, i));
          expectSame('concat', inputs, { outer, lengths });
        },
      ),
    );
    expectSame('concat', [values(60_000, 1), values(90_000, 2)], { outer: 3, lengths: [20_000, 30_000] });
  });
});

/** A map along an axis; some weights are 0, as at the ends of an upsampling. */
const maps = fc
  .record({
    inLength: fc.integer({ min: 1, max: 9 }),
    outLength: fc.constantFrom(0, 1, 2, 5, 11),
    taps: fc.constantFrom(1, 2, 3, 6),
  })
  .chain(({ inLength, outLength, taps }) =>
    fc
      .record({
        index: fc.array(fc.nat(inLength - 1), { minLength: outLength * taps, maxLength: outLength * taps }),
        weight: fc.array(fc.constantFrom(0, 1, 0.25, -1.5), {
          minLength: outLength * taps,
          maxLength: outLength * taps,
        }),
      })
      .map(({ index, weight }) => ({
        inLength,
        outLength,
        taps,
        index: Int32Array.from(index),
        weight: Float64Array.from(weight),
      })),
  );

describe('maps along an axis', () => {
  it('and their adjoints, for rows of any length', () => {
    fc.assert(
      fc.property(
        maps,
        fc.constantFrom(0, 1, 3),
        fc.constantFrom(0, 1, 2, 3, 4, 9),
        fc.boolean(),
        fc.nat(),
        (map, outer, inner, transposed, seed) => {
          const length = outer * inner * (transposed ? map.outLength : map.inLength);
          expectSame('axis.map', [values(length, seed)], { outer, inner, map, transposed }, 1e-6, 1);
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([2, 3, 4, 5, 8, 9])('that repeat each input %d times', (times) => {
    for (const [outer, n, inner] of [
      [1, 1, 1],
      [3, 7, 1],
      [2, 40_003, 1],
      [5, 6, 4],
    ]) {
      const outLength = times * n;
      const index = Int32Array.from({ length: outLength }, (_, o) => Math.floor(o / times));
      const whole = { inLength: n, outLength, taps: 1, index, weight: new Float64Array(outLength).fill(1) };
      const x = wild(outer * n * inner, times);
      for (const map of [whole, { ...whole, weight: whole.weight.map((_, o) => (o === 1 ? 2 : 1)) }])
        expectSame('axis.map', [x], { outer, inner, map, transposed: false });
    }
  });

  it('do not let an infinity through a weight of 0', () => {
    const map = {
      inLength: 2,
      outLength: 2,
      taps: 2,
      index: Int32Array.of(0, 1, 1, 0),
      weight: Float64Array.of(1, 0, 0.5, 0),
    };
    const x = Float32Array.of(3, Number.POSITIVE_INFINITY);
    for (const transposed of [false, true]) {
      expectSame('axis.map', [x], { outer: 1, inner: 1, map, transposed });
      expectSame('axis.map', [Float32Array.of(3, 4, ...x)], { outer: 1, inner: 2, map, transposed });
    }
  });

  it('add thousands of shares of one element without losing any', () => {
    const n = 30_000;
    const map = {
      inLength: 1,
      outLength: n,
      taps: 1,
      index: new Int32Array(n),
      weight: new Float64Array(n).fill(0.1),
    };
    for (const inner of [1, 3])
      expectSame('axis.map', [values(n * inner, 2).map(Math.abs)], {
        outer: 1,
        inner,
        map,
        transposed: true,
      });
  });
});
