/**
 * What the convolutions refuse, word for word: the function, the argument, the rule broken with its numbers, and what to
 * do instead where that is known. Where a message proposes a call, the call is made and must work.
 */
import {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  coverage,
  DeconvError,
  ones,
  permute,
  type Tensor,
  tensor,
  toDisplay,
  unrolledMatrix,
  zeros,
} from 'deconv';
import { describe, expect, it } from 'vitest';

/** [argument, message, call] */
type Refusal = readonly [string, string, () => unknown];

function expectRefusal([argument, message, call]: Refusal): void {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `${message}: nothing was thrown`).toBeInstanceOf(DeconvError);
  const { message: got, argument: at, op } = thrown as DeconvError;
  expect(got).toBe(message);
  expect(at).toBe(argument);
  expect(message.startsWith(`${op}: `)).toBe(true);
}

const all = (title: string, list: readonly Refusal[]) =>
  describe(title, () => {
    it.each(list.map((refusal) => [refusal[1], refusal] as const))('%s', (_text, refusal) =>
      expectRefusal(refusal),
    );
  });

const x = zeros([1, 4, 8, 8]);
const w = zeros([6, 4, 3, 3]);
/** Weight of a transposed convolution of x. */
const wt = zeros([4, 6, 3, 3]);

/** A call with options that the types would refuse. */
const conv = (options: object) => () => conv2d(x, w, options as ConvOptions);
const transposed = (options: object) => () => convTranspose2d(x, wt, options as ConvTransposeOptions);

all('sizes', [
  [
    'kernelSize',
    'conv2d: output size of axis 0 would be 0, must be ≥ 1: the kernel spans 9 (kernelSize 3, dilation 4) but the padded input is 8 long (8 + 0 + 0)',
    conv({ dilation: 4 }),
  ],
  [
    'kernelSize',
    'conv2d: output size of axis 1 would be -1, must be ≥ 1: the kernel spans 3 (kernelSize 3, dilation 1) but the padded input is 1 long (8 + -3 + -4)',
    conv({ padding: [0, [-3, -4]] }),
  ],
  [
    'padding',
    'convTranspose2d: output size of axis 0 would be 0, must be ≥ 1: (8 − 1)·1 − 5 − 5 + 3 + 0',
    transposed({ padding: 5 }),
  ],
  [
    'input',
    'conv2d: input spatial axis 1 must be ≥ 1, got shape [1, 4, 8, 0]',
    () => conv2d(zeros([1, 4, 8, 0]), w),
  ],
  [
    'input',
    'conv2d: input must have ≥ 1 channel, got shape [1, 0, 8, 8]',
    () => conv2d(zeros([1, 0, 8, 8]), w),
  ],
  [
    'weight',
    'conv2d: weight must have axes ≥ 1, got shape [0, 4, 3, 3]',
    () => conv2d(x, zeros([0, 4, 3, 3])),
  ],
  ['stride', 'conv2d: stride must be an integer ≥ 1, got 0', conv({ stride: 0 })],
  ['stride', 'conv2d: stride must be an integer ≥ 1, got [1, 1.5]', conv({ stride: [1, 1.5] })],
  ['stride', 'convTranspose2d: stride must be an integer ≥ 1, got NaN', transposed({ stride: Number.NaN })],
  ['stride', 'conv2d: stride needs 2 values (one per spatial axis), got [2]', conv({ stride: [2] })],
  ['stride', 'conv2d: stride must be an integer ≥ 1, got "2"', conv({ stride: '2' })],
  ['dilation', 'conv2d: dilation must be an integer ≥ 1, got 0', conv({ dilation: 0 })],
  [
    'dilation',
    'conv2d: dilation must be an integer ≥ 1, got Infinity',
    conv({ dilation: Number.POSITIVE_INFINITY }),
  ],
]);

all('padding', [
  [
    'padding',
    "conv2d: padding must be an integer, one per axis, [before, after] per axis, 'valid' or 'same', got \"SAME\" — lower case; ONNX's names: fromDialect('onnx', …)",
    conv({ padding: 'SAME' }),
  ],
  [
    'padding',
    "convTranspose2d: padding must be an integer, one per axis, [before, after] per axis, 'valid' or 'same', got \"full\"",
    transposed({ padding: 'full' }),
  ],
  ['padding', 'conv2d: padding must be made of integers, got 0.5', conv({ padding: 0.5 })],
  ['padding', 'conv2d: padding must be made of integers, got NaN', conv({ padding: Number.NaN })],
  [
    'padding',
    'conv2d: padding must be made of integers, got [[1, "1"], 0]',
    conv({ padding: [[1, '1'], 0] }),
  ],
  [
    'padding',
    'conv2d: padding needs 2 entries (one per spatial axis), got 4 — write [before, after] pairs: [[1, 2], [3, 4]]',
    conv({ padding: [1, 2, 3, 4] }),
  ],
  ['padding', 'conv2d: padding needs 2 entries (one per spatial axis), got 1', conv({ padding: [1] })],
  [
    'padding',
    'conv2d: padding of one axis must be an integer or [before, after], got [1, 2, 3]',
    conv({ padding: [[1, 2, 3], 0] }),
  ],
  [
    'padding',
    "conv2d: padding must be an integer, one per axis, [before, after] per axis, 'valid' or 'same', got an object with [\"before\"]",
    conv({ padding: { before: 1 } }),
  ],
]);

all('outputPadding and outputShape', [
  [
    'outputPadding',
    'convTranspose2d: outputPadding 2 must be < max(stride 2, dilation 1)',
    transposed({ stride: 2, outputPadding: 2 }),
  ],
  [
    'outputPadding',
    'convTranspose2d: outputPadding 1 must be < max(stride 1, dilation 1)',
    transposed({ stride: [3, 1], outputPadding: [2, 1] }),
  ],
  [
    'outputPadding',
    'convTranspose2d: outputPadding 3 must be < max(stride 1, dilation 3)',
    transposed({ dilation: 3, outputPadding: 3 }),
  ],
  [
    'outputPadding',
    'convTranspose2d: outputPadding must be an integer ≥ 0, got -1',
    transposed({ outputPadding: -1 }),
  ],
  [
    'outputPadding',
    'convTranspose2d: outputPadding and outputShape both set the output size; give one',
    transposed({ stride: 2, outputPadding: 1, outputShape: [18, 18] }),
  ],
  [
    'outputShape',
    'convTranspose2d: outputShape 19 of axis 0 must lie in [17, 18] for input 8, kernelSize 3, stride 2, padding [0, 0]',
    transposed({ stride: 2, outputShape: [19, 17] }),
  ],
  [
    'outputShape',
    "convTranspose2d: outputShape 14 of axis 0 must satisfy ceil(outputShape / stride 2) = input 8 with padding 'same'",
    transposed({ stride: 2, padding: 'same', outputShape: [14, 16] }),
  ],
  [
    'outputShape',
    'convTranspose2d: outputShape [1, 5, 17, 17] must start with batch 1 and channels 6',
    transposed({ stride: 2, outputShape: [1, 5, 17, 17] }),
  ],
  [
    'outputShape',
    'convTranspose2d: outputShape must be an array of sizes, got 17',
    transposed({ stride: 2, outputShape: 17 }),
  ],
  [
    'outputShape',
    'convTranspose2d: outputShape needs 2 values (one per spatial axis), got [17]',
    transposed({ stride: 2, outputShape: [17] }),
  ],
]);

all('groups and channels', [
  ['groups', 'conv2d: input channels 4 must divide by groups 3', conv({ groups: 3 })],
  [
    'groups',
    'conv2d: output channels 6 must divide by groups 4',
    () => conv2d(x, zeros([6, 1, 3, 3]), { groups: 4 }),
  ],
  ['groups', 'convTranspose2d: input channels 4 must divide by groups 3', transposed({ groups: 3 })],
  ['groups', 'conv2d: groups must be an integer ≥ 1, got 0', conv({ groups: 0 })],
  ['groups', 'conv2d: groups must be an integer ≥ 1, got 1.5', conv({ groups: 1.5 })],
  ['groups', 'conv2d: groups must be an integer ≥ 1, got null', conv({ groups: null })],
  [
    'weight',
    'conv2d: weight must be OIHW with 4 / groups 2 = 2 input channels in axis 1, got [6, 4, 3, 3]',
    conv({ groups: 2 }),
  ],
  [
    'weight',
    'conv2d: weight must be OIHW with 4 input channels in axis 1, got [6, 5, 3, 3]',
    () => conv2d(x, zeros([6, 5, 3, 3])),
  ],
  ['bias', 'conv2d: bias must have shape [6] (one per output channel), got [4]', conv({ bias: zeros([4]) })],
  [
    'bias',
    'conv2d: bias must have shape [6] (one per output channel), got [1, 6]',
    conv({ bias: zeros([1, 6]) }),
  ],
  [
    'bias',
    'convTranspose2d: bias must have shape [6] (one per output channel), got [4]',
    transposed({ bias: zeros([4]) }),
  ],
  [
    'bias',
    'conv2d: bias must be a tensor, got [1, 2, 3, 4, 5, 6] — wrap it: tensor(values, shape)',
    conv({ bias: [1, 2, 3, 4, 5, 6] }),
  ],
]);

all('ranks, types and things that are no tensors', [
  [
    'input',
    'conv2d: input must be (batch, channels, …space) of rank 4, got rank 3 [4, 8, 8] — add a batch axis: reshape(x, [1, ...x.shape])',
    () => conv2d(zeros([4, 8, 8]), w),
  ],
  [
    'input',
    'conv1d: input must be (batch, channels, …space) of rank 3, got rank 4 [1, 4, 8, 8]',
    () => conv1d(x, w),
  ],
  [
    'input',
    'convTranspose3d: input must be (batch, …space, channels) of rank 5, got rank 1 [4]',
    () => convTranspose3d(zeros([4]), w, { dataFormat: 'NHWC' }),
  ],
  [
    'weight',
    'conv2d: weight must have rank 4 for an input of rank 4, got rank 3 [6, 4, 3]',
    () => conv2d(x, zeros([6, 4, 3])),
  ],
  [
    'weight',
    'conv2d: weight is float64 but input is float32 — cast one of them',
    () => conv2d(x, zeros([6, 4, 3, 3], { dtype: 'float64' })),
  ],
  [
    'bias',
    'conv2d: bias is float64 but input is float32 — cast one of them',
    conv({ bias: zeros([6], { dtype: 'float64' }) }),
  ],
  [
    'input',
    "conv2d: input must be float32 or float64, got uint8 — cast(x, 'float32')",
    () => conv2d(zeros([1, 4, 8, 8], { dtype: 'uint8' }), w),
  ],
  [
    'input',
    'convTranspose2d: input must be a tensor, got an object with ["shape", "data"]',
    () => convTranspose2d({ shape: [1], data: [1] } as never, wt),
  ],
  [
    'input',
    'conv2d: input must be a tensor, got [[[[1]]]] — wrap it: tensor(values, shape)',
    () => conv2d([[[[1]]]] as never, w),
  ],
  ['weight', 'conv2d: weight must be a tensor, got undefined', () => conv2d(x, undefined as never)],
  [
    'weight',
    'convTranspose1d: weight must be a tensor, got Float32Array(8 bytes) — wrap it: tensor(values, shape)',
    () => convTranspose1d(x, new Float32Array(2) as never),
  ],
  ['options', 'conv2d: options must be an object, got 2', () => conv2d(x, w, 2 as never)],
  ['options', 'conv2d: options must be an object, got null', () => conv2d(x, w, null as never)],
  ['options', 'conv2d: options must be an object, got [1, 1]', () => conv2d(x, w, [1, 1] as never)],
  ['weight', 'unrolledMatrix: weight must be a tensor, got 3', () => unrolledMatrix(3 as never, [3, 3])],
  [
    'inputShape',
    'unrolledMatrix: the matrix is that of one picture, inputShape has batch 2',
    () => unrolledMatrix(w, [2, 4, 8, 8]),
  ],
  [
    'kernelSize',
    'coverage: kernelSize must be an integer ≥ 1, got undefined',
    () => coverage([3], undefined as never),
  ],
  [
    'inputSize',
    'coverage: inputSize must be an array of 1 to 3 spatial sizes, got 3',
    () => coverage(3 as never, { kernelSize: 2 }),
  ],
  ['x', 'toDisplay: x must be (H, W), (C, H, W) or (N, C, H, W), got [3]', () => toDisplay(zeros([3]))],
]);

all('unknown options and names', [
  ['paddings', "conv2d: unknown option 'paddings' — did you mean 'padding'?", conv({ paddings: 1 })],
  ['strides', "conv2d: unknown option 'strides' — did you mean 'stride'?", conv({ strides: 1 })],
  ['dilations', "convTranspose2d: unknown option 'dilations' — did you mean 'dilation'?", transposed({ dilations: 1 })],
  ['output_padding', "convTranspose2d: unknown option 'output_padding' — did you mean 'outputPadding'?", transposed({ output_padding: 1 })],
  ['group', "conv2d: unknown option 'group' — did you mean 'groups'?", conv({ group: 1 })],
  ['data_format', "conv2d: unknown option 'data_format' — did you mean 'dataFormat'?", conv({ data_format: 'NHWC' })],
  ['overlap', "conv2d: unknown option 'overlap' — known options are bias, stride, padding, dilation, groups, dataFormat, activation", conv({ overlap: 'average' })],
  ['activaton', "conv2d: unknown option 'activaton' — did you mean 'activation'?", conv({ activaton: 'relu' })],
  ['dataFormat', "conv2d: dataFormat must be one of 'NCHW', 'NHWC', got \"nhwc\" — did you mean 'NHWC'?", conv({ dataFormat: 'nhwc' })],
  ['dataFormat', "conv2d: dataFormat must be one of 'NCHW', 'NHWC', got 3", conv({ dataFormat: 3 })],
  ['overlap', "convTranspose2d: overlap must be one of 'sum', 'average', got \"mean\"", transposed({ overlap: 'mean' })],
  ['overlap', "convTranspose2d: overlap must be one of 'sum', 'average', got \"Average\" — did you mean 'average'?", transposed({ overlap: 'Average' })],
]); // biome-ignore format: tables of one line each

describe('a weight in another layout', () => {
  const convs = [conv1d, conv2d, conv3d];
  const convTransposes = [convTranspose1d, convTranspose2d, convTranspose3d];
  const kernels = [[5], [5, 3], [2, 5, 3]];

  const layouts: [string, boolean, (o: number, i: number, k: number[]) => number[], string][] = [
    ['IO', false, (o, i, k) => [i, o, ...k], "(a transposed convolution's)"],
    ['…IO', false, (o, i, k) => [...k, i, o], '(TensorFlow, JAX, numpy-ml)'],
    ['…OI', false, (o, i, k) => [...k, o, i], "(Keras' transposed convolution)"],
    ['OI', true, (o, i, k) => [o, i, ...k], "(a convolution's)"],
    ['…IO', true, (o, i, k) => [...k, i, o], '(TensorFlow, JAX, numpy-ml)'],
    ['…OI', true, (o, i, k) => [...k, o, i], "(Keras' transposed convolution)"],
  ];

  const cases = layouts.flatMap(([name, transposed, place, words]) =>
    // (W, I, O) has its input channels where (O, I, W) has them: nobody can tell.
    (name === '…IO' ? [2, 3] : [1, 2, 3]).map(
      (rank) => [name, transposed ? 'convTranspose' : 'conv', rank, place, words] as const,
    ),
  );

  it.each(cases)(
    '%s given to %s, %i axes: named, and the permute proposed works',
    (_name, which, rank, place, words) => {
      const isTransposed = which === 'convTranspose';
      const f: (x: Tensor, w: Tensor) => Tensor = (isTransposed ? convTransposes : convs)[rank - 1];
      const [inputs, outputs, kernel] = [7, 11, kernels[rank - 1]];
      const data = ones([1, inputs, ...new Array(rank).fill(9)]);
      const shape = place(outputs, inputs, kernel);
      const wrong = tensor(
        Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i % 13),
        shape,
      );
      let message = '';
      try {
        f(data, wrong);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toContain(`got [${shape.join(', ')}]`);
      expect(message).toContain(words);
      const proposal = /permute\(weight, \[([\d, ]+)\]\)/.exec(message);
      const order = proposal?.[1].split(', ').map(Number) ?? [];
      const right = permute(wrong, order);
      expect(right.shape).toEqual(isTransposed ? [inputs, outputs, ...kernel] : [outputs, inputs, ...kernel]);
      expect(f(data, right).shape[1]).toBe(outputs);
    },
  );
});
