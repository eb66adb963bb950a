/** Convolutions of each channel by itself against the definition: around tile edges, in bands, and when there are too many kinds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expectSame, runOn, values } from '../../../../../../test/support/loops.js';
import { openWasm } from '../../../../../../test/support/wasm.js';
import type { Activation } from '../../../backend.js';
import {
  convGeometry,
  convTransposeGeometry,
  weightShapeOf,
  xShapeOf,
  yShapeOf,
} from '../../../geometry/conv.js';
import { sizeOf } from '../../../shape.js';
import { reference } from '../../reference/index.js';
import { depthwiseOf } from '../depthwise-plan.js';

interface Axis {
  readonly n: number;
  readonly k: number;
  readonly s: number;
  readonly d: number;
  readonly pad: readonly [number, number];
}

const axis = fc.record({
  n: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 14, 15, 16, 17, 20, 33),
  k: fc.constantFrom(1, 2, 3, 3, 4, 5, 7),
  s: fc.constantFrom(1, 1, 2, 3),
  d: fc.constantFrom(1, 1, 2, 3),
  pad: fc.tuple(fc.integer({ min: -2, max: 4 }), fc.integer({ min: -2, max: 4 })),
});
const activation = fc.constantFrom<Activation | undefined>(
  undefined,
  { fn: 'clamp', parameters: [0, Number.POSITIVE_INFINITY] },
  { fn: 'clamp', parameters: [-0.5, 1] },
  { fn: 'leakyRelu', parameters: [0.1] },
);

/** The geometry, and whether a kernel of its own is for it; undefined where the sizes do not fit. */
function geometryOf(axes: readonly Axis[], batch: number, channels: number, transposed: boolean) {
  const options = {
    stride: axes.map(({ s }) => (transposed ? 1 : s)),
    dilation: axes.map(({ d }) => d),
    padding: axes.map(({ pad }) => pad),
    groups: channels,
  };
  const shapes = [
    [batch, channels, ...axes.map(({ n }) => n)],
    [channels, 1, ...axes.map(({ k }) => k)],
  ] as const;
  try {
    return (transposed ? convTransposeGeometry : convGeometry)(...shapes, options);
  } catch {
    return undefined;
  }
}

function check(
  axes: readonly Axis[],
  [batch, channels]: readonly [number, number],
  transposed: boolean,
  function_: Activation | undefined,
  seed: number,
): boolean {
  const geometry = geometryOf(axes, batch, channels, transposed);
  if (geometry === undefined) return false;
  const given = [transposed ? yShapeOf(geometry) : xShapeOf(geometry), weightShapeOf(geometry)];
  const inputs = given.map((shape, i) => values(sizeOf(shape), seed + i));
  const bias = seed % 2 === 0;
  if (bias) inputs.push(values(channels, seed + 2));
  const attributes = { geometry, bias, average: false, activation: function_ };
  expectSame(transposed ? 'conv.inputGrad' : 'conv.forward', inputs, attributes, 1e-6, 60);
  return depthwiseOf(geometry, transposed, function_) !== undefined;
}

describe('each channel by itself', () => {
  it('on random shapes, there and back, one axis and two', () => {
    let own = 0;
    fc.assert(
      fc.property(
        fc.array(axis, { minLength: 1, maxLength: 2 }),
        fc.tuple(fc.constantFrom(1, 3), fc.constantFrom(2, 3, 17)),
        fc.boolean(),
        activation,
        fc.nat(1000),
        (axes, size, transposed, function_, seed) => {
          if (check(axes, size, transposed, function_, seed)) own++;
        },
      ),
      { numRuns: 600 },
    );
    expect(own).toBeGreaterThan(50);
  });

  it('in bands of rows, and of columns', () => {
    const none = { s: 1, d: 1 };
    const large: Axis[][] = [
      [
        { ...none, n: 300, k: 3, pad: [1, 1] },
        { ...none, n: 250, k: 5, pad: [2, 2] },
      ],
      [
        { n: 5, k: 3, s: 2, d: 2, pad: [2, 1] },
        { n: 20_000, k: 3, s: 2, d: 3, pad: [3, 4] },
      ],
      [{ ...none, n: 60_000, k: 9, pad: [4, 4] }],
    ];
    for (const axes of large)
      for (const transposed of [false, true])
        expect(check(axes, [1, 2], transposed, undefined, 4)).toBe(true);
  });

  it('as it was before, of more kinds than there is room for', () => {
    const backend = openWasm();
    for (let kind = 0; kind < 80; kind++) {
      const d = 1 + Math.floor(kind / 10);
      const square: Axis = { n: 24, k: 5, s: 1, d, pad: [2 * d, 2 * d] };
      const geometry = geometryOf([square, { ...square, d: 1 + (kind % 10), pad: [20, 20] }], 1, 3, false);
      if (geometry === undefined) expect.fail('no geometry');
      const inputs = [values(3 * 24 * 24, kind), values(3 * 25, kind + 1)];
      const attributes = { geometry, bias: false, average: false };
      const [got, wanted] = [backend, reference].map((one) => runOn(one, 'conv.forward', inputs, attributes));
      for (const [i, value] of wanted.entries()) expect(Math.abs(got[i] - value)).toBeLessThan(1e-4);
    }
    backend.close();
  });
});
