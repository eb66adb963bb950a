import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FieldLayer, receptiveField } from './receptive-field.js';

/** Which inputs each output of one layer reads, by its definition, on an endless axis (no borders). */
function readsOf(layer: FieldLayer): (o: number) => number[] {
  const [k, s, d] = [
    layer.kernelSize as number,
    (layer.stride as number) ?? 1,
    (layer.dilation as number) ?? 1,
  ];
  const before = ((layer.padding ?? [[0, 0]]) as number[][])[0][0];
  const taps = Array.from({ length: k ?? 0 }, (_, u) => u);
  if (layer.type === 'upsample') {
    const f = layer.factor as number;
    if (layer.mode !== 'linear') return (o) => [Math.floor(o / f)];
    return (o) => {
      const place = (o + 0.5) / f - 0.5;
      return [Math.floor(place + 1e-9), Math.ceil(place - 1e-9)];
    };
  }
  if (layer.type === 'convTranspose') {
    // y[i·s + u·d − pb] += x[i]·w[u]: try every input in reach.
    return (o) => {
      const found: number[] = [];
      for (
        let i = Math.floor((o + before - d * (k - 1)) / s) - 1;
        i <= Math.ceil((o + before) / s) + 1;
        i++
      ) {
        if (taps.some((u) => i * s + u * d - before === o)) found.push(i);
      }
      return found;
    };
  }
  return (o) => taps.map((u) => o * s + u * d - before);
}

/** The inputs that output o of the stack depends on, layer by layer backwards, as a set. */
function dependencies(layers: readonly FieldLayer[], o: number): Set<number> {
  let wanted = new Set([o]);
  for (const layer of [...layers].reverse()) {
    const reads = readsOf(layer);
    wanted = new Set([...wanted].flatMap(reads));
  }
  return wanted;
}

const small = (max: number) => fc.integer({ min: 1, max });
const windowLayer = fc
  .record({
    type: fc.constantFrom('conv', 'pool', 'convTranspose'),
    kernelSize: small(5),
    stride: small(4),
    dilation: small(3),
    pad: fc.tuple(fc.integer({ min: -2, max: 4 }), fc.integer({ min: -2, max: 4 })),
  })
  .map(({ pad, ...rest }) => ({ ...rest, padding: [pad] }) as FieldLayer);
const upsampleLayer = fc
  .record({ factor: small(4), mode: fc.constantFrom('nearest', 'linear') })
  .map((rest) => ({ type: 'upsample', ...rest }) as FieldLayer);
const stack = fc.array(fc.oneof({ weight: 4, arbitrary: windowLayer }, upsampleLayer), {
  minLength: 0,
  maxLength: 4,
});

describe('receptiveField', () => {
  it('is the span of what every output depends on, traced back layer by layer', () => {
    fc.assert(
      fc.property(stack, (layers) => {
        const [axis] = receptiveField(layers, { rank: 1 }).axes;
        const period = axis.phases.length;
        const sizes = new Set<number>();
        for (let o = -period; o < 3 * period; o++) {
          const seen = dependencies(layers, o);
          const m = Math.floor(o / period);
          const phase = axis.phases[o - m * period];
          const moved = (m * period * axis.jump.numerator) / axis.jump.denominator;
          expect(Number.isInteger(moved)).toBe(true);
          if (seen.size === 0) {
            expect(phase).toEqual({ start: null, end: null });
            sizes.add(0);
            continue;
          }
          const [first, last] = [Math.min(...seen), Math.max(...seen)];
          expect([(phase.start as number) + moved, (phase.end as number) + moved]).toEqual([first, last]);
          sizes.add(last - first + 1);
        }
        expect(axis.size).toBe(Math.max(...sizes));
      }),
      { numRuns: 400 },
    );
  });

  it('follows the published recurrence for plain convolutions', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ k: small(5), s: small(3), p: fc.nat(3) }), { maxLength: 6 }),
        (list) => {
          const layers = list.map(
            ({ k, s, p }): FieldLayer => ({ type: 'conv', kernelSize: k, stride: s, padding: p }),
          );
          const [axis] = receptiveField(layers, { rank: 1 }).axes;
          // Closed form: r = Σ (k_l − 1)·Π_{i<l} s_i + 1; padding P = Σ p_l·Π_{i<l} s_i.
          let [jump, size, padding] = [1, 1, 0];
          for (const { k, s, p } of list) {
            size += (k - 1) * jump;
            padding += p * jump;
            jump *= s;
          }
          expect([axis.size, axis.jump, axis.padding]).toEqual([
            size,
            { numerator: jump, denominator: 1 },
            padding,
          ]);
          expect(axis.centre).toBe((size - 1) / 2 - padding);
        },
      ),
    );
  });

  it('AlexNet’s features: 195 inputs, jump 32', () => {
    const conv = (kernelSize: number, padding = 0, stride = 1): FieldLayer => ({
      type: 'conv',
      kernelSize,
      padding,
      stride,
    });
    const pool: FieldLayer = { type: 'pool', kernelSize: 3, stride: 2 };
    const { axes, outputSize, steps } = receptiveField(
      [conv(11, 0, 4), pool, conv(5, 2), pool, conv(3, 1), conv(3, 1), conv(3, 1), pool],
      { inputSize: [227, 227] },
    );
    expect(steps.map((step) => step.axes[0].size)).toEqual([11, 19, 51, 67, 99, 131, 163, 195]);
    expect(axes[0].jump).toEqual({ numerator: 32, denominator: 1 });
    expect(outputSize).toEqual([6, 6]);
    expect(steps.map((step) => step.outputSize?.[0])).toEqual([55, 27, 27, 13, 13, 13, 13, 6]);
    expect(steps[0].name).toBe('conv 0');
  });

  it('a transposed convolution sees as many inputs as its fullest phase has taps; the jump is a fraction', () => {
    const { axes } = receptiveField([{ type: 'convTranspose', kernelSize: 3, stride: 2, padding: 1 }], {
      rank: 1,
    });
    expect(axes[0]).toEqual({
      size: 2,
      jump: { numerator: 1, denominator: 2 },
      start: 0,
      end: 0,
      centre: 0,
      padding: 0,
      phases: [
        { start: 0, end: 0 },
        { start: 0, end: 1 },
      ],
    });
  });

  it('down and up again: the jump is 1', () => {
    const { axes, outputSize } = receptiveField(
      [
        { type: 'conv', kernelSize: 4, stride: 2, padding: 1 },
        { type: 'convTranspose', kernelSize: 4, stride: 2, padding: 1 },
      ],
      { inputSize: [32] },
    );
    expect(axes[0].jump).toEqual({ numerator: 1, denominator: 1 });
    expect(outputSize).toEqual([32]);
    expect(axes[0].size).toBe(6);
  });

  it('a phase that no tap reaches sees nothing', () => {
    const { axes } = receptiveField([
      { type: 'convTranspose', kernelSize: 2, stride: 2, dilation: 2, padding: [[1, 0]] },
    ]);
    expect(axes[0].start).toBeNull();
    expect(axes[0].centre).toBeNull();
    expect(axes[0].phases[1]).toEqual({ start: 0, end: 1 });
  });

  it('axes differ, sizes follow, ceilMode and same', () => {
    const { axes, outputSize } = receptiveField(
      [
        { type: 'pool', kernelSize: [2, 3], ceilMode: true },
        { type: 'conv', kernelSize: 3, stride: 2, padding: 'same' },
        { type: 'upsample', factor: [2, 3] },
      ],
      { inputSize: [11, 12] },
    );
    expect(outputSize).toEqual([6, 6]);
    expect(axes.map((axis) => axis.size)).toEqual([6, 9]);
    expect(axes.map((axis) => axis.jump)).toEqual([
      { numerator: 2, denominator: 1 },
      { numerator: 2, denominator: 1 },
    ]);
    // 'same' of 4 windows at stride 2 pads [0, 1] on axis 1 and of 6 also [0, 1] on axis 0.
    expect(axes.map((axis) => axis.padding)).toEqual([0, 0]);
  });

  it('a layer without a type is a convolution', () => {
    const { axes, steps } = receptiveField([{ kernelSize: 5 }, { type: 'pool', kernelSize: 2 }]);
    expect(axes[0].size).toBe(6);
    expect(steps.map((step) => step.name)).toEqual(['conv 0', 'pool 1']);
  });

  it('no layers: an output is its input', () => {
    expect(receptiveField([], { rank: 1 }).axes[0]).toMatchObject({ size: 1, start: 0, padding: 0 });
  });

  it.each([
    [[{ type: 'conv' }], 'receptiveField layer 0: kernelSize is required'],
    [
      [{ type: 'conv', kernelSize: 3, name: 'c1', kernel: 3 }],
      "receptiveField layer 0 'c1': unknown option 'kernel'",
    ],
    [
      [{ type: 'convolution', kernelSize: 3 }],
      "type must be one of 'conv', 'pool', 'convTranspose', 'upsample'",
    ],
    [[{ type: 'upsample', factor: 1.5 }], 'factor must be an integer ≥ 1, got 1.5'],
    [[{ type: 'upsample', factor: 2, mode: 'cubic' }], "mode must be one of 'nearest', 'linear'"],
    [[{ type: 'conv', kernelSize: Number.NaN }], 'kernelSize must be an integer ≥ 1, got NaN'],
    [[{ type: 'conv', kernelSize: 3, outputPadding: 1 }], "unknown option 'outputPadding'"],
    [
      [{ type: 'conv', kernelSize: 3, stride: 2, padding: 'same' }],
      "padding 'same' at stride > 1 depends on the size — give inputSize",
    ],
    [
      [{ type: 'convTranspose', kernelSize: 3, stride: 2, outputPadding: 3 }],
      'outputPadding 3 must be < max(stride 2, dilation 1)',
    ],
    [
      [
        { type: 'upsample', factor: 300 },
        { type: 'upsample', factor: 300 },
      ],
      'the fields would repeat only after 90000 outputs, must be ≤ 65536',
    ],
    ['conv', 'layers must be an array, got "conv"'],
    [[undefined], 'layer must be an object, got undefined'],
    [[null], 'layer must be an object, got null'],
  ])('refuses case %#', (layers, message) => {
    expect(() => receptiveField(layers as FieldLayer[])).toThrow(message);
  });

  it('refuses a stack that shrinks the input away', () => {
    expect(() => receptiveField([{ type: 'conv', kernelSize: 5 }], { inputSize: [4] })).toThrow(
      'receptiveField layer 0: output size of axis 0 would be 0, must be ≥ 1 (input 4)',
    );
  });
});
