import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alone, expectSame, runOn, values, wild } from '../../../../../../test/support/loops.js';
import type { BinaryName, UnaryName } from '../../../backend.js';
import * as functions from '../../../functions.js';
import { cast } from '../../../operations.js';
import { broadcastShapes, sizeOf } from '../../../shape.js';

/** Parameters, and how far a value may be off: relative to itself, or to `scale` where terms cancel. */
const FUNCTIONS: Record<UnaryName, { p?: readonly (readonly number[])[]; scale?: number }> = {
  abs: {},
  sign: {},
  exp: {},
  log: { scale: 1e-1 },
  sqrt: {},
  square: {},
  reciprocal: {},
  sin: {},
  cos: {},
  erf: { scale: 1e-20 },
  floor: {},
  ceil: {},
  relu: {},
  leakyRelu: { p: [[0.1], [-2], [0]] },
  elu: { p: [[1], [0.3]] },
  selu: {},
  // The definition's own second (first) derivative cancels below this.
  sigmoid: { scale: 1e-10 },
  tanh: { scale: 1e-8 },
  softplus: {},
  gelu: { scale: 1e-1 },
  geluTanh: { scale: 1e-1 },
  silu: { scale: 1e-1 },
  hardSigmoid: {
    p: [
      [1 / 6, 0.5],
      [0.2, 0.5],
    ],
    scale: 1e-1,
  },
  hardSwish: { scale: 1e-1 },
  mish: { scale: 1e-1 },
  softsign: {},
  clamp: {
    p: [
      [-0.5, 0.75],
      [0, 6],
      [Number.NEGATIVE_INFINITY, 0.5],
    ],
  },
  powScalar: { p: [[2], [3], [0.5], [-1], [-2], [0], [1], [2.5], [0.25], [-0.5], [-0.75], [1.75], [0.3]] },
};

/** Numbers of every size, of both signs, and what is no number. */
const RANGE = (() => {
  const list: number[] = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
  ];
  for (let e = -37; e <= 38; e++) for (const m of [1, 1.7, 3.1]) list.push(m * 10 ** e, -m * 10 ** e);
  for (let x = -110; x <= 110; x += 0.37) list.push(x);
  for (let x = -6; x <= 6; x += 0.013) list.push(x);
  return Float32Array.from(list.filter((x) => !Number.isFinite(x) || Math.abs(x) < 3.4e38));
})();

describe('functions of one argument', () => {
  it('are those of the contract', () => {
    const names = Object.values(functions).map(({ name }) => name);
    expect(names.sort()).toEqual(Object.keys(FUNCTIONS).sort());
  });

  for (const fn of Object.values(functions)) {
    const { name } = fn;
    const { p = [[]], scale = 1e-30 } = FUNCTIONS[name];
    for (const parameters of p) {
      for (const order of [0, 1, 2]) {
        it(`${name}${parameters.length > 0 ? `(${parameters})` : ''}, derivative ${order}, over the whole range`, () => {
          const attributes = { fn, order, parameters };
          // Below 2⁻¹²⁶ floats have fewer digits.
          expectSame('unary', [RANGE], attributes, 2e-6, Math.max(scale, 1e-32));
        });
      }
    }
  }

  it('take any number of elements', () => {
    for (const n of [0, 1, 2, 3, 4, 5, 7, 8, 63, 16_383, 16_384, 16_385, 40_003]) {
      expectSame('unary', [values(n, n)], { fn: functions.relu, order: 0, parameters: [] });
    }
  });

  it('have 0 in the second derivative of a line, but NaN where x is', () => {
    const x = Float32Array.of(2, -3, Number.NaN, Number.POSITIVE_INFINITY);
    const out = runOn(alone, 'unary', [x], { fn: functions.relu, order: 2, parameters: [] });
    expect(Array.from(out)).toEqual([0, 0, Number.NaN, 0]);
  });
});

/** Two shapes that broadcast, and what they give: some axes 1 in one, some in the other, some missing. */
const pair = fc
  .array(fc.record({ length: fc.constantFrom(0, 1, 2, 3, 4, 5, 9, 17), a: fc.boolean(), b: fc.boolean() }), {
    maxLength: 5,
  })
  .chain((axes) =>
    fc.record({
      a: fc.constant(axes.map(({ length, a }) => (a ? length : 1))),
      b: fc.constant(axes.map(({ length, b }) => (b ? length : 1))),
      cut: fc.nat({ max: axes.length }),
    }),
  );

const NAMES: readonly BinaryName[] = [
  'add',
  'sub',
  'mul',
  'div',
  'maximum',
  'minimum',
  'equal',
  'greater',
  'greaterEqual',
];

describe('functions of two arguments', () => {
  it.each(NAMES)('%s, broadcast in any way', (fn) => {
    fc.assert(
      fc.property(pair, fc.boolean(), fc.nat(), ({ a, b: whole, cut }, swap, seed) => {
        const b = whole.slice(cut);
        const shape = broadcastShapes('test', a, b);
        const operands = [
          { shape: a, values: wild(sizeOf(a), seed) },
          { shape: b, values: wild(sizeOf(b), seed + 1) },
        ];
        if (swap) operands.reverse();
        const [left, right] = operands;
        const attributes = { fn, aShape: left.shape, bShape: right.shape, shape };
        expectSame('binary', [left.values, right.values], attributes);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [
      [2, 5, 33, 31],
      [1, 5, 1, 1],
    ],
    [
      [4, 3, 16_400],
      [3, 1],
    ],
    [[300, 257], [257]],
    [
      [300, 257],
      [300, 1],
    ],
    [
      [7, 1, 9, 1, 5],
      [1, 6, 1, 4, 1],
    ],
    [[70_000, 3], [3]],
    [[1], [50_001]],
  ])('add of %j and %j', (a, b) => {
    const attributes = { fn: 'add' as const, aShape: a, bShape: b, shape: broadcastShapes('test', a, b) };
    expectSame('binary', [values(sizeOf(a), 1), values(sizeOf(b), 2)], attributes);
  });
});

describe('select and cast', () => {
  it('selects where the condition is not 0, NaN included', () => {
    for (const n of [0, 1, 6, 50_000]) expectSame('select', [wild(n, 1), wild(n, 2), wild(n, 3)], {});
  });

  it('casts as typed arrays do', () => {
    const x = Float32Array.of(1.7, -1.7, 300.5, -1, 0, 4e9, Number.NaN, Number.POSITIVE_INFINITY);
    for (const dtype of ['float32', 'float64', 'int32', 'uint8'] as const) expectSame('cast', [x], { dtype });
  });

  it('copies: the result does not change with what was cast', () => {
    const x = alone.upload(Float32Array.of(1, 2, 3));
    const y = alone.run(cast, [x], { dtype: 'float32' });
    (x.host() as Float32Array)[0] = 9;
    expect(Array.from(y.host())).toEqual([1, 2, 3]);
  });
});
