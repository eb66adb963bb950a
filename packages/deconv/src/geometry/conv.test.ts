import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeconvError } from '../errors.js';
import {
  type ConvGeometryOptions,
  type ConvTransposeGeometryOptions,
  convGeometry,
  convTransposeGeometry,
  flopsOf,
  weightShapeOf,
  xShapeOf,
  yShapeOf,
} from './conv.js';

/** The whole text of a refusal. */
const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    if (error instanceof DeconvError) return error.message;
    throw error;
  }
  throw new Error('was not refused');
};
const conv = (input: number[], weight: number[], options: unknown = {}) =>
  convGeometry(input, weight, options as ConvGeometryOptions, 'conv2d');
const transpose = (input: number[], weight: number[], options: unknown = {}) =>
  convTransposeGeometry(input, weight, options as ConvTransposeGeometryOptions, 'convTranspose2d');

describe('worked examples', () => {
  it('227 → 55 → 227', () => {
    expect(conv([1, 3, 227, 227], [96, 3, 11, 11], { stride: 4 }).ySize).toEqual([55, 55]);
    expect(transpose([1, 96, 55, 55], [96, 3, 11, 11], { stride: 4 }).xSize).toEqual([227, 227]);
  });
  it('55 → 75 → 95 by padding 20 and kernel 21', () => {
    expect(conv([1, 1, 55, 55], [1, 1, 21, 21], { padding: 20 }).ySize).toEqual([75, 75]);
    expect(conv([1, 1, 75, 75], [1, 1, 21, 21], { padding: 20 }).ySize).toEqual([95, 95]);
  });
  it('3×3 → 2×2 → 3×3 with kernel 2', () => {
    expect(conv([1, 1, 3, 3], [1, 1, 2, 2]).ySize).toEqual([2, 2]);
    expect(transpose([1, 1, 2, 2], [1, 1, 2, 2]).xSize).toEqual([3, 3]);
  });
  it('2×2 → 4×4 with kernel 3, by inserting nothing: the input padded to 6×6', () => {
    expect(transpose([1, 1, 2, 2], [1, 1, 3, 3]).xSize).toEqual([4, 4]);
    expect(conv([1, 1, 2, 2], [1, 1, 3, 3], { padding: 2 }).ySize).toEqual([4, 4]);
  });
  it('5×5, k2 s2: back to 5×5 takes outputPadding 1', () => {
    expect(conv([1, 1, 5, 5], [1, 1, 2, 2], { stride: 2 }).ySize).toEqual([2, 2]);
    expect(transpose([1, 1, 2, 2], [1, 1, 2, 2], { stride: 2, outputPadding: 1 }).xSize).toEqual([5, 5]);
  });
  it('size 4, k3 s2, padding 3 (more than the kernel covers) gives 3', () => {
    expect(transpose([1, 1, 4], [1, 1, 3], { stride: 2, padding: 3 }).xSize).toEqual([3]);
  });
});

describe('the record', () => {
  it('describes a convolution and its transpose alike, and is frozen', () => {
    const forward = conv([2, 6, 11, 9], [8, 3, 3, 2], {
      stride: [2, 1],
      padding: [1, [0, 1]],
      dilation: [1, 2],
      groups: 2,
    });
    expect(forward).toEqual({
      rank: 2,
      batch: 2,
      groups: 2,
      xChannels: 6,
      yChannels: 8,
      xSize: [11, 9],
      ySize: [6, 8],
      kernelSize: [3, 2],
      stride: [2, 1],
      dilation: [1, 2],
      padBefore: [1, 0],
      padAfter: [1, 1],
    });
    const back = transpose([2, 8, 6, 8], [8, 3, 3, 2], {
      stride: [2, 1],
      padding: [1, [0, 1]],
      dilation: [1, 2],
      groups: 2,
    });
    expect(back).toEqual(forward);
    expect(
      Object.isFrozen(forward) && Object.isFrozen(forward.xSize) && Object.isFrozen(forward.padAfter),
    ).toBe(true);
    expect(xShapeOf(forward)).toEqual([2, 6, 11, 9]);
    expect(yShapeOf(forward)).toEqual([2, 8, 6, 8]);
    expect(weightShapeOf(forward)).toEqual([8, 3, 3, 2]);
    expect(flopsOf(forward)).toBe(2 * 2 * (6 * 8) * 8 * 3 * (3 * 2));
  });

  it('outputPadding is less crop after', () => {
    const g = transpose([1, 1, 3, 3], [1, 1, 3, 3], { stride: 2, padding: 1, outputPadding: [1, 0] });
    expect([g.xSize, g.padBefore, g.padAfter]).toEqual([
      [6, 5],
      [1, 1],
      [0, 1],
    ]);
  });

  it('a convolution’s transpose with outputShape returns to the input’s size, for any geometry', () => {
    const some = fc.record({
      n: fc.integer({ min: 1, max: 16 }),
      k: fc.integer({ min: 1, max: 5 }),
      s: fc.integer({ min: 1, max: 4 }),
      d: fc.integer({ min: 1, max: 3 }),
      pad: fc.tuple(fc.integer({ min: -1, max: 3 }), fc.integer({ min: -1, max: 3 })),
    });
    fc.assert(
      fc.property(some, ({ n, k, s, d, pad }) => {
        let g: ReturnType<typeof conv>;
        try {
          g = conv([1, 1, n], [1, 1, k], { stride: s, dilation: d, padding: [pad] });
        } catch {
          return;
        }
        const options = { stride: s, dilation: d, padding: [pad], outputShape: [n] };
        const back = transpose([1, 1, ...g.ySize], [1, 1, k], options);
        expect(back.xSize).toEqual([n]);
        expect(back.padBefore).toEqual(g.padBefore);
      }),
    );
  });
});

describe('padding forms', () => {
  const pads = (padding: unknown) => {
    const g = conv([1, 1, 9, 9], [1, 1, 4, 3], { padding });
    return [g.padBefore, g.padAfter];
  };
  it.each([
    [
      undefined,
      [
        [0, 0],
        [0, 0],
      ],
    ],
    [
      'valid',
      [
        [0, 0],
        [0, 0],
      ],
    ],
    [
      2,
      [
        [2, 2],
        [2, 2],
      ],
    ],
    [
      -1,
      [
        [-1, -1],
        [-1, -1],
      ],
    ],
    [
      [1, 2],
      [
        [1, 2],
        [1, 2],
      ],
    ],
    [
      [
        [1, 2],
        [3, 4],
      ],
      [
        [1, 3],
        [2, 4],
      ],
    ],
    [
      [1, [0, -2]],
      [
        [1, 0],
        [1, -2],
      ],
    ],
    [
      'same',
      [
        [1, 1],
        [2, 1],
      ],
    ],
  ])('%j', (padding, want) => {
    expect(pads(padding)).toEqual(want);
  });

  it.each([
    [
      'SAME_LOWER',
      "padding must be an integer, one per axis, [before, after] per axis, 'valid' or 'same', got \"SAME_LOWER\" — lower case; ONNX's names: fromDialect('onnx', …)",
    ],
    [
      [1, 1, 2, 2],
      'padding needs 2 entries (one per spatial axis), got 4 — write [before, after] pairs: [[1, 1], [2, 2]]',
    ],
    [[1], 'padding needs 2 entries (one per spatial axis), got 1'],
    [[[1, 2, 3], 0], 'padding of one axis must be an integer or [before, after], got [1, 2, 3]'],
    [1.5, 'padding must be made of integers, got 1.5'],
    [Number.NaN, 'padding must be made of integers, got NaN'],
    [[[0, '1'], 0], 'padding must be made of integers, got [[0, "1"], 0]'],
    [
      {},
      "padding must be an integer, one per axis, [before, after] per axis, 'valid' or 'same', got an object with []",
    ],
  ])('refuses %j', (padding, message) => {
    expect(refusal(() => pads(padding))).toBe(`conv2d: ${message}`);
  });
});

describe("transposed padding 'same' and outputShape", () => {
  const xSize = (options: unknown, n = 5, k = 3) => {
    const g = transpose([1, 1, n], [1, 1, k], options);
    return [g.xSize[0], g.padBefore[0], g.padAfter[0]];
  };
  it.each([
    [{ stride: 2, padding: 'same' }, 3, [10, 0, 1]],
    [{ stride: 2, padding: 'same' }, 4, [10, 1, 1]],
    [{ stride: 3, padding: 'same' }, 1, [15, 0, -2]],
    [{ stride: 2, padding: 'same', outputShape: [9] }, 3, [9, 1, 1]],
    [{ stride: 2, padding: 1, outputShape: [10] }, 3, [10, 1, 0]],
    [{ stride: 2, padding: 1, outputShape: [1, 1, 9] }, 3, [9, 1, 1]],
  ])('%j, kernel %i', (options, k, want) => {
    expect(xSize(options, 5, k)).toEqual(want);
  });

  it.each([
    [
      { stride: 2, padding: 'same', outputShape: [11] },
      "outputShape 11 of axis 0 must satisfy ceil(outputShape / stride 2) = input 5 with padding 'same'",
    ],
    [
      { stride: 2, outputShape: [13] },
      'outputShape 13 of axis 0 must lie in [11, 12] for input 5, kernelSize 3, stride 2, padding [0, 0]',
    ],
    [
      { stride: 2, outputShape: [10] },
      'outputShape 10 of axis 0 must lie in [11, 12] for input 5, kernelSize 3, stride 2, padding [0, 0]',
    ],
    [
      { stride: 2, outputShape: [12], outputPadding: 1 },
      'outputPadding and outputShape both set the output size; give one',
    ],
    [{ outputShape: [2, 1, 7] }, 'outputShape [2, 1, 7] must start with batch 1 and channels 1'],
    [{ outputShape: 7 }, 'outputShape must be an array of sizes, got 7'],
    [{ outputShape: [7.5] }, 'outputShape must be an integer ≥ 1, got [7.5]'],
  ])('refuses %j', (options, message) => {
    expect(refusal(() => xSize(options))).toBe(`convTranspose2d: ${message}`);
  });
});

describe('refusals', () => {
  it.each([
    [
      () => transpose([1, 1, 4, 4], [1, 1, 3, 3], { stride: 2, outputPadding: 3 }),
      'convTranspose2d: outputPadding 3 must be < max(stride 2, dilation 1)',
    ],
    [
      () => transpose([1, 1, 4, 4], [1, 1, 3, 3], { outputPadding: -1 }),
      'convTranspose2d: outputPadding must be an integer ≥ 0, got -1',
    ],
    [
      () => transpose([1, 1, 2, 2], [1, 1, 3, 3], { padding: 2 }),
      'convTranspose2d: output size of axis 0 would be 0, must be ≥ 1: (2 − 1)·1 − 2 − 2 + 3 + 0',
    ],
    [
      () => conv([1, 1, 4, 4], [1, 1, 3, 3], { dilation: 2 }),
      'conv2d: output size of axis 0 would be 0, must be ≥ 1: the kernel spans 5 (kernelSize 3, dilation 2) but the padded input is 4 long (4 + 0 + 0)',
    ],
    [
      () => conv([1, 5, 4, 4], [6, 2, 3, 3], { groups: 2 }),
      'conv2d: input channels 5 must divide by groups 2',
    ],
    [
      () => conv([1, 4, 4, 4], [5, 2, 3, 3], { groups: 2 }),
      'conv2d: output channels 5 must divide by groups 2',
    ],
    [
      () => transpose([1, 5, 4, 4], [5, 2, 3, 3], { groups: 2 }),
      'convTranspose2d: input channels 5 must divide by groups 2',
    ],
    [() => conv([1, 4, 4, 4], [4, 4, 3, 3], { groups: 0 }), 'conv2d: groups must be an integer ≥ 1, got 0'],
    [
      () => conv([1, 4, 4, 4], [4, 4, 3, 3], { groups: 1.5 }),
      'conv2d: groups must be an integer ≥ 1, got 1.5',
    ],
    [
      () => conv([4, 4], [1, 1, 3, 3]),
      'conv2d: input must be (batch, channels, …1 to 3 spatial axes), got rank 2 [4, 4]',
    ],
    [
      () => conv([1, 1, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1]),
      'conv2d: input must be (batch, channels, …1 to 3 spatial axes), got rank 6 [1, 1, 2, 2, 2, 2]',
    ],
    [
      () => conv([1, 1, 4, 4], [1, 1, 3]),
      'conv2d: weight must have rank 4 for an input of rank 4, got rank 3 [1, 1, 3]',
    ],
    [
      () => conv([1, 1, 0, 4], [1, 1, 1, 1]),
      'conv2d: input spatial axis 0 must be ≥ 1, got shape [1, 1, 0, 4]',
    ],
    [() => conv([1, 0, 4, 4], [1, 1, 1, 1]), 'conv2d: input must have ≥ 1 channel, got shape [1, 0, 4, 4]'],
    [() => conv([1, 1, 4, 4], [1, 1, 0, 1]), 'conv2d: weight must have axes ≥ 1, got shape [1, 1, 0, 1]'],
    [() => conv([1, 1, 4.5, 4], [1, 1, 1, 1]), 'conv2d: input axis 2 must be an integer ≥ 0, got 4.5'],
    [() => conv([1, 1, Number.NaN, 4], [1, 1, 1, 1]), 'conv2d: input axis 2 must be an integer ≥ 0, got NaN'],
    [
      () => transpose([1, 1, 4, 4], [1, 1, Number.NaN, 1]),
      'convTranspose2d: weight axis 2 must be an integer ≥ 0, got NaN',
    ],
    [
      () => conv([1, 1, 4, 4], [1, 1, 1, 1], { stride: Number.NaN }),
      'conv2d: stride must be an integer ≥ 1, got NaN',
    ],
    [
      () => conv([1, 1, 4, 4], [1, 1, 1, 1], { stride: [1, 0] }),
      'conv2d: stride must be an integer ≥ 1, got [1, 0]',
    ],
    [
      () => conv([1, 1, 4, 4], [1, 1, 1, 1], { stride: [1, 1, 1] }),
      'conv2d: stride needs 2 values (one per spatial axis), got [1, 1, 1]',
    ],
    [
      () => conv([1, 1, 4, 4], [1, 1, 1, 1], { dilation: 0 }),
      'conv2d: dilation must be an integer ≥ 1, got 0',
    ],
  ])('case %#', (call, message) => {
    expect(refusal(call)).toBe(message);
  });

  it('takes an empty batch', () => {
    expect(conv([0, 1, 4, 4], [1, 1, 3, 3]).batch).toBe(0);
  });
});

describe('a weight in another layout', () => {
  it.each([
    [
      () => conv([1, 3, 8, 8], [3, 16, 5, 5]),
      'conv2d: weight must be OIHW with 3 input channels in axis 1, got [3, 16, 5, 5] — this looks like IOHW (a transposed convolution’s): permute(weight, [1, 0, 2, 3])',
    ],
    [
      () => conv([1, 3, 8, 8], [5, 5, 3, 16]),
      'conv2d: weight must be OIHW with 3 input channels in axis 1, got [5, 5, 3, 16] — this looks like HWIO (TensorFlow, JAX, numpy-ml): permute(weight, [3, 2, 0, 1])',
    ],
    [
      () => transpose([1, 16, 8, 8], [3, 16, 5, 5]),
      'convTranspose2d: weight must be IOHW with 16 input channels in axis 0, got [3, 16, 5, 5] — this looks like OIHW (a convolution’s): permute(weight, [1, 0, 2, 3])',
    ],
    [
      () => transpose([1, 16, 8, 8], [5, 5, 16, 3]),
      'convTranspose2d: weight must be IOHW with 16 input channels in axis 0, got [5, 5, 16, 3] — this looks like HWIO (TensorFlow, JAX, numpy-ml): permute(weight, [2, 3, 0, 1])',
    ],
    [
      () => transpose([1, 16, 8, 8], [5, 5, 3, 16]),
      'convTranspose2d: weight must be IOHW with 16 input channels in axis 0, got [5, 5, 3, 16] — this looks like HWOI (Keras’ transposed convolution): permute(weight, [3, 2, 0, 1])',
    ],
    [
      () => transpose([1, 16, 8], [5, 3, 16]),
      'convTranspose2d: weight must be IOW with 16 input channels in axis 0, got [5, 3, 16] — this looks like WOI (Keras’ transposed convolution): permute(weight, [2, 1, 0])',
    ],
    [
      () => conv([1, 4, 8, 8], [6, 4, 3, 3], { groups: 2 }),
      'conv2d: weight must be OIHW with 4 / groups 2 = 2 input channels in axis 1, got [6, 4, 3, 3]',
    ],
    [
      () => transpose([1, 7, 8, 8], [5, 5, 3, 3]),
      'convTranspose2d: weight must be IOHW with 7 input channels in axis 0, got [5, 5, 3, 3]',
    ],
  ])('case %#', (call, message) => {
    expect(refusal(call).replaceAll('’', "'")).toBe(message.replaceAll('’', "'"));
  });
});
