/** The registry: errors that name the nearest, round trips, weights, the reasons given, and known one-pixel traps. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convGeometry, convTransposeGeometry } from '../conv.js';
import {
  type ConvOp,
  type DialectName,
  type DialectOptions,
  dialectNames,
  dialectOptions,
  fromDialect,
  type ToDialectFound,
  toDialect,
} from './index.js';

const found = (dialect: DialectName, op: ConvOp, options: DialectOptions): ToDialectFound => {
  const said = toDialect(dialect, op, options);
  if ('reason' in said) throw new Error(said.reason);
  return said;
};
const reason = (dialect: DialectName, op: ConvOp, options: DialectOptions): string => {
  const said = toDialect(dialect, op, options);
  return 'reason' in said ? said.reason : `said ${JSON.stringify(said.options)}`;
};
/** Everything that decides the numbers of a layer: sizes, pads, strides. */
const geometryOf = (op: ConvOp, n: number[], k: number[], options: DialectOptions) => {
  const groups = (options['groups'] as number | undefined) ?? 1;
  const { rank: _, inputSize: __, kernelSize: ___, ...own } = options;
  return (op === 'conv' ? convGeometry : convTransposeGeometry)([1, groups, ...n], [groups, 1, ...k], own);
};

describe('errors', () => {
  it.each([
    [() => fromDialect('pytorch' as DialectName, 'conv'), 'got "pytorch" — did you mean \'torch\'?'],
    [() => fromDialect('Keras' as DialectName, 'conv'), "did you mean 'keras'?"],
    [() => toDialect('tensorflow' as DialectName, 'conv'), "dialect must be one of 'torch', 'keras', 'onnx'"],
    [
      () => fromDialect('torch', 'deconv' as ConvOp),
      "op must be one of 'conv', 'convTranspose', got \"deconv\"",
    ],
    [
      () => fromDialect('torch', 'conv', { strid: 2 }),
      "fromDialect 'torch' conv: unknown option 'strid' — did you mean 'stride'?",
    ],
    [
      () => fromDialect('keras', 'conv', { dilation: 2 }),
      "unknown option 'dilation' — did you mean 'dilation_rate'?",
    ],
    [() => fromDialect('torch', 'conv', { output_padding: 1 }), "unknown option 'output_padding'"],
    [() => toDialect('torch', 'conv', { outputPadding: 1 }), "unknown option 'outputPadding'"],
    [
      () => toDialect('torch', 'convTranspose', { strides: 1 }),
      "unknown option 'strides' — did you mean 'stride'?",
    ],
    [() => fromDialect('torch', 'conv', { stride: 1.5 }), 'stride must be an integer ≥ 1, got 1.5'],
    [() => fromDialect('torch', 'conv', { stride: Number.NaN }), 'stride must be an integer ≥ 1, got NaN'],
    [() => fromDialect('torch', 'conv', { stride: [1, 2], dilation: [1, 2, 3] }), 'dilation needs 2 values'],
    [() => fromDialect('torch', 'conv', { rank: 4 }), 'rank must be 1, 2 or 3, got 4'],
    [
      () => fromDialect('torch', 'conv', { padding: 'same', stride: 2 }),
      "padding 'same' needs stride 1 in PyTorch, got [2, 2]",
    ],
    [() => fromDialect('torch', 'conv', { padding_mode: 'reflect' }), "padding_mode must be one of 'zeros'"],
    [() => fromDialect('keras', 'convTranspose', { padding: 'same' }), 'kernel_size is needed'],
    [
      () => fromDialect('keras', 'convTranspose', { kernel_size: 3, strides: 2, output_padding: 2 }),
      'output_padding 2 must be < strides 2',
    ],
    [
      () => fromDialect('keras', 'conv', { padding: 'causal' }),
      "padding 'causal' is for rank 1, this has rank 2",
    ],
    [() => fromDialect('keras', 'conv', { padding: 'SAME' }), 'got "SAME" — did you mean \'same\'?'],
    [() => fromDialect('onnx', 'conv', { strides: [1, 1], pads: [1, 1] }), 'pads must be 4 integers'],
    [
      () => fromDialect('onnx', 'conv', { pads: [0, 0, 0, -1] }),
      'integers ≥ 0, begins then ends, got [0, 0, 0, -1]',
    ],
    [
      () => fromDialect('onnx', 'conv', { auto_pad: 'SAME_UPPER', pads: [1, 1, 1, 1] }),
      "pads [1,1,1,1] and auto_pad 'SAME_UPPER' exclude each other",
    ],
    [() => fromDialect('onnx', 'conv', { auto_pad: 'SAME' }), "did you mean 'SAME_UPPER'?"],
    [
      () => fromDialect('onnx', 'convTranspose', { kernel_shape: [3, 3], output_shape: [10, 8] }),
      'inputSize is needed: output_shape fixes the crop only together with it',
    ],
    [() => fromDialect('jax', 'conv', { lhs_dilation: [2, 2] }), "use op 'convTranspose'"],
    [() => fromDialect('jax', 'convTranspose', { feature_group_count: 2 }), 'feature_group_count must be 1'],
    [() => fromDialect('tfjs', 'conv', {}), "pad is required: 'same', 'valid', a number or pairs"],
    [
      () =>
        fromDialect('tfjs', 'convTranspose', {
          pad: 0,
          outputShape: [9, 9],
          dimRoundingMode: 'ceil',
          inputSize: 3,
          kernelSize: 2,
        }),
      'outputShape 9 of axis 0 must convolve back to the input: gives 8, input is 3',
    ],
    [() => fromDialect('webnn', 'conv', { padding: [1, 1] }), 'padding must be [beginH, endH, beginW, endW]'],
    [
      () => fromDialect('webnn', 'convTranspose', { outputPadding: [1, 0] }),
      'outputPadding 1 must be < strides 1',
    ],
    [
      () => fromDialect('numpy-ml', 'conv', { pad: [1, 2, 3] }),
      "pad must be 'same' or 1, 2 or 4 integers ≥ 0",
    ],
    [() => fromDialect('tinynet', 'conv', { stride: [2, 2] }), 'stride needs 1 value'],
    [
      () => toDialect('torch', 'convTranspose', { outputPadding: 3, stride: 2 }),
      'outputPadding 3 must be < max(stride 2, dilation 1)',
    ],
  ])('case %#', (call, message) => {
    expect(call).toThrow(message);
  });

  it('knows every option it documents', () => {
    for (const dialect of dialectNames) {
      for (const op of ['conv', 'convTranspose'] as const) {
        for (const name of Object.keys(dialectOptions(dialect, op))) {
          let text = '';
          try {
            fromDialect(dialect, op, { [name]: undefined });
          } catch (error) {
            text = String(error);
          }
          expect(text).not.toContain('unknown option');
        }
      }
    }
  });
});

describe('one-pixel traps', () => {
  it("keras 'same' at kernel 3, stride 2 crops after only; torch's padding 1 crops before", () => {
    const keras = fromDialect('keras', 'convTranspose', { kernel_size: 3, strides: 2, padding: 'same' });
    const torch = fromDialect('torch', 'convTranspose', { stride: 2, padding: 1, output_padding: 1 });
    const [a, b] = [keras, torch].map(({ options }) =>
      geometryOf('convTranspose', [5, 5], [3, 3], options as DialectOptions),
    );
    expect(a.xSize).toEqual(b.xSize);
    expect(a.padBefore).toEqual([0, 0]);
    expect(b.padBefore).toEqual([1, 1]);
    expect(keras.notes.join()).toContain('axis 0 crops 0 before and 1 after');
  });

  it("keras' output_padding 0 is not its default", () => {
    const none = fromDialect('keras', 'convTranspose', { kernel_size: 3, strides: 2, padding: 'same' });
    const zero = fromDialect('keras', 'convTranspose', {
      kernel_size: 3,
      strides: 2,
      padding: 'same',
      output_padding: 0,
    });
    const sizes = [none, zero].map(
      (t) => geometryOf('convTranspose', [5, 5], [3, 3], t.options as DialectOptions).xSize[0],
    );
    expect(sizes).toEqual([10, 9]);
  });

  it("keras 'valid' with a kernel shorter than the stride gives n·s", () => {
    const t = fromDialect('keras', 'convTranspose', { kernel_size: 2, strides: 3 });
    expect(geometryOf('convTranspose', [4, 4], [2, 2], t.options as DialectOptions).xSize).toEqual([12, 12]);
  });

  it('onnx output_shape [10, 8] of a 3×3 input extends after, as the standard’s own test has it', () => {
    const t = fromDialect('onnx', 'convTranspose', {
      kernel_shape: [3, 3],
      strides: [3, 2],
      output_shape: [10, 8],
      inputSize: [3, 3],
    });
    expect(t.options.padding).toEqual([
      [0, -1],
      [0, -1],
    ]);
  });

  it('onnx NOTSET with output_shape puts the odd row before, SAME_UPPER after, SAME_LOWER before', () => {
    const padding = (auto_pad: string) =>
      fromDialect('onnx', 'convTranspose', {
        auto_pad,
        kernel_shape: [4],
        strides: [2],
        output_shape: [7],
        inputSize: [3],
      }).options.padding;
    expect(padding('NOTSET')).toEqual([[1, 0]]);
    expect(padding('SAME_UPPER')).toEqual([[0, 1]]);
    expect(padding('SAME_LOWER')).toEqual([[1, 0]]);
  });

  it('onnx takes a whole output_shape', () => {
    const t = fromDialect('onnx', 'convTranspose', {
      kernel_shape: [3, 3],
      output_shape: [1, 2, 5, 5],
      inputSize: [3, 3],
    });
    expect(geometryOf('convTranspose', [3, 3], [3, 3], t.options as DialectOptions).xSize).toEqual([5, 5]);
  });

  it('numpy-ml: dilation counts from 0, an uneven pad is cropped as asked unless asImplemented', () => {
    const options = { stride: 2, pad: [0, 2, 1, 1], dilation: 1 };
    const asked = fromDialect('numpy-ml', 'convTranspose', options);
    expect(asked.options.dilation).toEqual([2, 2]);
    expect(asked.options.padding).toEqual([
      [0, 2],
      [1, 1],
    ]);
    expect(asked.notes).toContain('axis 0 crops 0 before (numpy-ml itself crops 1, 1 off)');
    expect(
      fromDialect('numpy-ml', 'convTranspose', { ...options, asImplemented: true }).options.padding,
    ).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });
});

describe('weights', () => {
  it.each([
    ['torch', 'conv', 'OIHW', [0, 1, 2, 3], false, {}],
    ['torch', 'convTranspose', 'IOHW', [0, 1, 2, 3], false, {}],
    ['keras', 'conv', 'HWIO', [3, 2, 0, 1], false, {}],
    ['keras', 'convTranspose', 'HWOI', [3, 2, 0, 1], false, { kernel_size: 3 }],
    ['onnx', 'convTranspose', 'IOHW', [0, 1, 2, 3], false, {}],
    ['jax', 'conv', 'OIHW', [0, 1, 2, 3], false, {}],
    ['jax', 'convTranspose', 'HWIO', [2, 3, 0, 1], true, { kernelSize: 3 }],
    ['jax', 'convTranspose', 'HWOI', [3, 2, 0, 1], false, { kernelSize: 3, transpose_kernel: true }],
    ['tfjs', 'conv', 'HWIO', [3, 2, 0, 1], false, { pad: 0 }],
    ['tfjs', 'convTranspose', 'HWOI', [3, 2, 0, 1], false, { pad: 0, outputShape: [4, 4] }],
    ['webnn', 'convTranspose', 'OHWI', [3, 0, 1, 2], false, { filterLayout: 'ohwi' }],
    ['numpy-ml', 'convTranspose', 'HWIO', [2, 3, 0, 1], false, {}],
    ['tinynet', 'convTranspose', 'IOHW', [0, 1, 2, 3], false, {}],
  ] as const)('%s %s: %s', (dialect, op, layout, permutation, flip, options) => {
    const t = fromDialect(dialect, op, options);
    expect(t.weightLayout).toBe(layout);
    expect(t.weightPermutation).toEqual(permutation);
    expect(t.weightFlip).toBe(flip);
  });

  it('in one and three dimensions', () => {
    expect(fromDialect('keras', 'conv', { strides: [1] }).weightPermutation).toEqual([2, 1, 0]);
    expect(fromDialect('keras', 'conv', { strides: [1, 1, 1] }).weightLayout).toBe('DHWIO');
    expect(fromDialect('keras', 'conv', { strides: [1, 1, 1] }).weightPermutation).toEqual([4, 3, 0, 1, 2]);
  });

  it('go out by the inverse permutation', () => {
    expect(found('keras', 'convTranspose', { kernelSize: [3, 3] }).weightPermutation).toEqual([2, 3, 1, 0]);
    expect(found('jax', 'convTranspose', { kernelSize: [3, 3] }).weightFlip).toBe(true);
  });
});

describe('toDialect', () => {
  const pairOf = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));
  const layer = fc.record({
    n: pairOf(1, 6),
    k: pairOf(1, 5),
    s: pairOf(1, 4),
    d: pairOf(1, 3),
    before: pairOf(-2, 3),
    after: pairOf(-2, 3),
    extra: pairOf(0, 3),
    groups: fc.constantFrom(1, 1, 2),
    kind: fc.constantFrom('pairs', 'symmetric', 'same', 'outputShape'),
    seed: fc.nat(),
  });

  it('then fromDialect gives the same geometry, for every dialect that has one', () => {
    const answered = new Map<string, number>();
    fc.assert(
      fc.property(layer, fc.constantFrom<ConvOp>('conv', 'convTranspose'), (c, op) => {
        // A third of the cases square, so that the dialects with one number for both axes have their share.
        const square = c.seed % 3 === 0;
        const [s, d] = square
          ? [
              [c.s[0], c.s[0]],
              [1, 1],
            ]
          : [c.s, c.seed % 3 === 1 ? [1, 1] : c.d];
        const even = c.kind === 'symmetric';
        const padding =
          c.kind === 'same'
            ? 'same'
            : [0, 1].map((a) => [c.before[square ? 0 : a], even ? c.before[square ? 0 : a] : c.after[a]]);
        const extra = c.extra.map((v, a) => (c.seed % 2 === 0 ? v % Math.max(s[a], d[a]) : 0));
        const options: Record<string, unknown> = { stride: s, dilation: d, padding, groups: c.groups };
        if (op === 'convTranspose' && c.kind !== 'outputShape') options['outputPadding'] = extra;
        const base = { ...options, ...(op === 'convTranspose' ? { outputPadding: extra } : {}) };
        let wanted: ReturnType<typeof convGeometry>;
        try {
          wanted = geometryOf(op, c.n, c.k, base);
        } catch {
          return; // no such layer
        }
        if (op === 'convTranspose' && c.kind === 'outputShape') options['outputShape'] = wanted.xSize;
        const sized = { ...options, inputSize: c.n, kernelSize: c.k };
        for (const dialect of dialectNames) {
          const said = toDialect(dialect, op, sized);
          if ('reason' in said) {
            expect(said.reason.length).toBeGreaterThan(10);
            continue;
          }
          answered.set(`${dialect} ${op}`, (answered.get(`${dialect} ${op}`) ?? 0) + 1);
          const back = fromDialect(dialect, op, { ...said.options, inputSize: c.n, kernelSize: c.k });
          const got = geometryOf(op, c.n, c.k, back.options as DialectOptions);
          // What decides the numbers: sizes, what lies before, steps, groups; padAfter follows from them.
          for (const key of ['xSize', 'ySize', 'padBefore', 'stride', 'dilation', 'groups'] as const) {
            expect([dialect, key, got[key]]).toEqual([dialect, key, wanted[key]]);
          }
          // The layout a translation names is the one fromDialect expects when nothing is said about layouts, up to JAX'
          // two functions.
          expect(back.weightLayout).toBe(said.weightLayout);
          expect(back.weightPermutation.map((axis) => said.weightPermutation[axis])).toEqual([0, 1, 2, 3]);
          expect(back.weightFlip).toBe(said.weightFlip);
        }
      }),
      { numRuns: 1500 },
    );
    // The seeds differ from run to run: how often is chance, that it happens is not.
    for (const dialect of dialectNames) {
      for (const op of ['conv', 'convTranspose'])
        expect(answered.get(`${dialect} ${op}`) ?? 0).toBeGreaterThan(0);
    }
  });

  it('names what it can', () => {
    expect(
      found('keras', 'conv', {
        padding: [
          [1, 1],
          [1, 1],
        ],
        kernelSize: [3, 3],
      }).options['padding'],
    ).toBe('same');
    expect(
      found('keras', 'conv', { padding: [[4, 0]], kernelSize: [3], dilation: [2] }).options['padding'],
    ).toBe('causal');
    expect(
      found('keras', 'convTranspose', { stride: 2, padding: 'same', kernelSize: [4, 4] }).options,
    ).toMatchObject({
      padding: 'same',
    });
    expect(found('torch', 'convTranspose', { padding: [[1, 0]], stride: 2 }).options).toMatchObject({
      padding: [1],
      output_padding: [1],
    });
    expect(found('onnx', 'conv', { padding: 'same', stride: 2 }).options['auto_pad']).toBe('SAME_UPPER');
    expect(found('tfjs', 'conv', { padding: [2, 2] }).options['pad']).toBe(2);
    expect(
      found('numpy-ml', 'conv', {
        padding: [
          [0, 1],
          [2, 3],
        ],
        dilation: 2,
      }).options,
    ).toEqual({
      stride: 1,
      pad: [0, 1, 2, 3],
      dilation: 1,
    });
  });

  it.each([
    ['torch', 'convTranspose', { stride: 2, padding: [[0, 1]] }, 'PyTorch crops both sides alike'],
    ['torch', 'conv', { padding: [[0, 1]] }, 'this pads [[0,1]]: apply torch.nn.functional.pad first'],
    ['torch', 'conv', { padding: 'same', stride: 2 }, "PyTorch has 'same' at stride 1 only"],
    [
      'keras',
      'conv',
      { stride: 2, dilation: 2 },
      'Keras refuses strides > 1 together with dilation_rate > 1',
    ],
    ['keras', 'convTranspose', { groups: 2, kernelSize: [3, 3] }, 'no groups, this has 2'],
    ['keras', 'convTranspose', { padding: 2 }, 'give kernelSize'],
    ['onnx', 'conv', { padding: [-1, 0] }, 'ONNX has no negative pads'],
    ['onnx', 'convTranspose', { padding: [-1, 0] }, 'put a Pad after the ConvTranspose'],
    ['jax', 'convTranspose', { groups: 2 }, 'jax.lax.conv_transpose has no groups, this has 2'],
    ['tfjs', 'convTranspose', { dilation: 2 }, 'tf.conv2dTranspose has no dilation'],
    ['tfjs', 'conv', { rank: 1 }, 'this has rank 1'],
    ['tfjs', 'convTranspose', {}, 'give inputSize and kernelSize'],
    ['webnn', 'conv', { rank: 3 }, 'this has rank 3'],
    ['webnn', 'convTranspose', { dilation: [2, 2], outputPadding: 1 }, 'outputPadding < strides only'],
    ['numpy-ml', 'conv', { stride: [1, 2] }, 'one stride for both axes, this has [1, 2]'],
    [
      'numpy-ml',
      'convTranspose',
      {
        padding: [
          [0, 1],
          [0, 0],
        ],
      },
      'numpy-ml shifts a crop that differs',
    ],
    [
      'numpy-ml',
      'convTranspose',
      { padding: 3, kernelSize: [3, 3] },
      'numpy-ml refuses pad 3 > kernel extent − 1 = 2',
    ],
    ['tinynet', 'conv', { padding: [1, 2] }, 'tinynet pads all four sides alike'],
    [
      'tinynet',
      'convTranspose',
      { padding: 2 },
      'tinynet crops 1 row per side whatever the padding, this needs 2',
    ],
    ['onnx', 'convTranspose', { outputShape: [5, 5] }, 'give inputSize and kernelSize'],
    ['onnx', 'convTranspose', { padding: 'same' }, 'give kernelSize'],
  ] as const)('%s %s %j has none: %s', (dialect, op, options, text) => {
    expect(reason(dialect, op, options as DialectOptions)).toContain(text);
  });

  it('gives frozen answers', () => {
    const t = fromDialect('torch', 'conv', {});
    expect(Object.isFrozen(t) && Object.isFrozen(t.options) && Object.isFrozen(t.notes)).toBe(true);
    expect(Object.isFrozen(toDialect('torch', 'conv', {}))).toBe(true);
  });
});
