/**
 * Every differentiable name of the library's root, with what to differentiate and where. Tensors are float64; values
 * stay away from kinks, where differences mean nothing.
 */
import * as deconv from 'deconv';
import { type Tensor, tensor } from 'deconv';
import * as geometry from 'deconv/geometry';
import { normal } from './geometry.js';

export type Float64Map = (...inputs: Tensor[]) => Tensor;

/** A function and the inputs at which to differentiate it. */
export type Example = readonly [Float64Map, ...Tensor[]];

const numbers = (...values: number[]): Tensor => tensor(values, { dtype: 'float64' });

/** Between the kinks at 0, ±1 and ±3. */
const around = numbers(-3.7, -2.2, -1.3, -0.6, -0.2, 0.3, 0.7, 1.4, 2.5, 3.6);
const above = tensor([[0.2], [0.5], [1.7]], { dtype: 'float64' });
const [a, b] = [normal([2, 3], 1), normal([2, 3], 2)];
const maps = normal([2, 2, 4, 3], 3);
const volume = normal([1, 2, 3, 4, 2], 4);
const runningMean = numbers(0.3, -0.2);
const runningVar = numbers(1.4, 0.7);
const [weight, bias] = [normal([2], 5), normal([2], 6)];

const pointwise = (f: (x: Tensor) => Tensor, x = around): Example[] => [[f, x]];

/** Pooling of 9 values per channel with a window that overlaps itself, and its way back. */
const unpoolIndices = tensor([0, 2, 5, 7], [1, 1, 2, 2], { dtype: 'int32' });

export const DIFFERENTIABLE: Readonly<Record<string, readonly Example[]>> = {
  conv1d: [
    [(x, w) => deconv.conv1d(x, w, { stride: 2, padding: 1 }), normal([1, 2, 5], 1), normal([3, 2, 3], 2)],
  ],
  conv2d: [
    [
      (x, w, bias) => deconv.conv2d(x, w, { padding: [1, [0, -1]], dilation: [1, 2], groups: 2, bias }),
      normal([2, 2, 4, 5], 1),
      normal([2, 1, 2, 2], 2),
      bias,
    ],
    [
      (x, w) => deconv.conv2d(x, w, { padding: 'same', stride: 2, dataFormat: 'NHWC' }),
      normal([1, 5, 4, 2], 1),
      normal([1, 2, 3, 2], 2),
    ],
  ],
  conv3d: [[(x, w) => deconv.conv3d(x, w, { padding: 1 }), volume, normal([1, 2, 2, 2, 3], 2)]],
  convTranspose1d: [
    [
      (x, w) => deconv.convTranspose1d(x, w, { stride: 2, padding: 'same' }),
      normal([1, 2, 3], 1),
      normal([2, 1, 3], 2),
    ],
  ],
  convTranspose2d: [
    [
      (x, w, bias) => deconv.convTranspose2d(x, w, { stride: 2, outputPadding: 1, bias, overlap: 'average' }),
      normal([2, 2, 2, 3], 1),
      normal([2, 2, 3, 3], 2),
      bias,
    ],
    [
      (x, w) =>
        deconv.convTranspose2d(x, w, { stride: 3, outputShape: [5, 8], groups: 2, dataFormat: 'NHWC' }),
      normal([1, 2, 3, 2], 1),
      normal([2, 1, 2, 2], 2),
    ],
  ],
  convTranspose3d: [
    [
      (x, w) => deconv.convTranspose3d(x, w, { stride: 2, padding: 1 }),
      normal([1, 1, 2, 2, 2], 1),
      normal([1, 2, 2, 3, 2], 2),
    ],
  ],

  add: [
    [deconv.add, a, normal([3], 4)],
    [(x) => deconv.add(x, 2), a],
  ],
  sub: [
    [deconv.sub, normal([2, 1], 4), a],
    [(x) => deconv.sub(1, x), a],
  ],
  mul: [
    [deconv.mul, a, normal([4, 1, 1], 4)],
    [(x) => deconv.mul(x, x), a],
  ],
  div: [
    [deconv.div, normal([3], 4), above],
    [(x) => deconv.div(2, x), above],
  ],
  pow: [
    [deconv.pow, above, normal([2], 4)],
    [(x) => deconv.pow(x, 3), around],
    [(x) => deconv.pow(x, -0.5), above],
    [(x) => deconv.pow(2, x), around],
    [(x) => deconv.pow(x, 1), around],
  ],
  maximum: [[deconv.maximum, a, b]],
  minimum: [[deconv.minimum, a, normal([3], 8)]],
  where: [
    [(x, y) => deconv.where(deconv.greater(a, b), x, y), a, normal([3], 4)],
    [(x) => deconv.where(deconv.greater(x, 0), x, deconv.mul(x, x)), around],
  ],
  neg: pointwise(deconv.neg),
  abs: pointwise(deconv.abs),
  sign: pointwise(deconv.sign),
  floor: pointwise(deconv.floor),
  ceil: pointwise(deconv.ceil),
  exp: pointwise(deconv.exp),
  log: pointwise(deconv.log, above),
  sqrt: pointwise(deconv.sqrt, above),
  square: pointwise(deconv.square),
  reciprocal: pointwise(deconv.reciprocal, above),
  sin: pointwise(deconv.sin),
  cos: pointwise(deconv.cos),
  erf: pointwise(deconv.erf),
  relu: pointwise(deconv.relu),
  leakyRelu: pointwise((x) => deconv.leakyRelu(x, 0.2)),
  prelu: [[deconv.prelu, normal([2, 3, 2], 5), normal([3, 1], 6)]],
  elu: pointwise((x) => deconv.elu(x, 0.7)),
  selu: pointwise(deconv.selu),
  sigmoid: pointwise(deconv.sigmoid),
  tanh: pointwise(deconv.tanh),
  softplus: pointwise(deconv.softplus),
  softsign: pointwise(deconv.softsign),
  gelu: [...pointwise((x) => deconv.gelu(x)), ...pointwise((x) => deconv.gelu(x, { approximate: 'tanh' }))],
  silu: pointwise(deconv.silu),
  mish: pointwise(deconv.mish),
  hardSigmoid: [
    ...pointwise((x) => deconv.hardSigmoid(x)),
    ...pointwise((x) => deconv.hardSigmoid(x, { alpha: 0.2, beta: 0.4 })),
  ],
  hardSwish: pointwise(deconv.hardSwish),
  clamp: [
    ...pointwise((x) => deconv.clamp(x, { min: -1, max: 2 })),
    ...pointwise((x) => deconv.clamp(x, { max: 0 })),
  ],

  cast: pointwise((x) => deconv.cast(x, 'float64')),
  concat: [[(x, y) => deconv.concat([x, y, x], 1), a, normal([2, 2], 3)]],
  expand: [[(x) => deconv.expand(x, [2, 3, 2]), normal([3, 1], 1)]],
  flip: [[(x) => deconv.flip(x, 1), a]],
  pad: (['constant', 'reflect', 'replicate', 'circular'] as const).map((mode) => [
    (x) => deconv.pad(x, [[-1, 1], [4, 2]], { mode }),
    a,
  ]), // biome-ignore format: pairs
  permute: [[(x) => deconv.permute(x, [3, 0, 2, 1]), maps]],
  pixelShuffle: [[(x) => deconv.pixelShuffle(x, 2), normal([1, 4, 2, 3], 1)]],
  pixelUnshuffle: [[(x) => deconv.pixelUnshuffle(x, 2), normal([1, 1, 4, 2], 1)]],
  reshape: [[(x) => deconv.reshape(x, [-1, 2]), a]],
  slice: [[(x) => deconv.slice(x, { start: [-1, 2], end: [undefined, 0], step: [-1, -1] }), a]],
  take: [[(x) => deconv.take(x, [2, 0, 2], 1), a]],
  transpose: [[(x) => deconv.transpose(x), a]],

  matmul: [
    [deconv.matmul, a, normal([3, 2], 4)],
    [deconv.matmul, normal([2, 1, 2, 3], 1), normal([2, 3, 2], 2)],
    [deconv.matmul, normal([3], 1), normal([2, 3, 2], 2)],
    [deconv.matmul, a, normal([3], 2)],
    [(x) => deconv.matmul(x, deconv.transpose(x)), a],
  ],
  softmax: [
    [(x) => deconv.softmax(x, 0), a],
    [(x) => deconv.softmax(x, -1), a],
  ],
  logSoftmax: [[(x) => deconv.logSoftmax(x, 0), a]],
  sum: [
    [(x) => deconv.sum(x), a],
    [(x) => deconv.sum(x, { axis: [0, 2], keepDims: true }), maps],
  ],
  mean: [[(x) => deconv.mean(x, 1), a]],
  variance: [
    [(x) => deconv.variance(x, { axis: 0 }), normal([4, 2], 1)],
    [(x) => deconv.variance(x, { correction: 0 }), a],
  ],
  max: [
    [(x) => deconv.max(x, 1), a],
    [(x) => deconv.max(x), a],
  ],
  min: [[(x) => deconv.min(x, { axis: 0, keepDims: true }), a]],

  batchNorm: [
    [(x) => deconv.batchNorm(x, { training: true, eps: 0.1 }), normal([4, 3], 3)],
    [
      (x, weight, bias) => deconv.batchNorm(x, { weight, bias, training: true }),
      normal([3, 2, 2], 3),
      weight,
      bias,
    ],
    [
      (x, weight, bias) => deconv.batchNorm(x, { weight, bias, runningMean, runningVar }),
      normal([3, 2], 3),
      weight,
      bias,
    ],
  ],
  instanceNorm: [
    [(x, weight, bias) => deconv.instanceNorm(x, { weight, bias }), normal([2, 2, 5], 3), weight, bias],
  ],
  groupNorm: [
    [(x, weight) => deconv.groupNorm(x, 2, { weight }), normal([1, 4, 3], 3), normal([4], 2)],
    [
      (x, weight, bias) => deconv.groupNorm(x, 2, { weight, bias, eps: 0.1 }),
      normal([2, 4, 2], 3),
      normal([4], 2),
      normal([4], 4),
    ],
  ],
  layerNorm: [
    [(x, weight, bias) => deconv.layerNorm(x, [3], { weight, bias }), a, normal([3], 5), normal([3], 6)],
    [(x) => deconv.layerNorm(x, [2, 3]), a],
  ],

  upsample: [
    [(x) => deconv.upsample(x, 2), normal([1, 1, 2, 3], 1)],
    [(x) => deconv.upsample(x, { size: [5, 2], mode: 'bilinear' }), normal([1, 1, 2, 3], 1)],
    [(x) => deconv.upsample(x, { size: [5], mode: 'linear', alignCorners: true }), normal([1, 2, 3], 1)],
    [(x) => deconv.upsample(x, { size: [5, 4], mode: 'bicubic' }), normal([1, 1, 2, 3], 1)],
  ],
  adaptiveAvgPool1d: [[(x) => deconv.adaptiveAvgPool1d(x, 3), normal([1, 2, 5], 1)]],
  adaptiveAvgPool2d: [[(x) => deconv.adaptiveAvgPool2d(x, [3, null]), maps]],
  adaptiveAvgPool3d: [[(x) => deconv.adaptiveAvgPool3d(x, [2, 1, 3]), volume]],
  avgPool1d: [[(x) => deconv.avgPool1d(x, { kernelSize: 3, stride: 2, padding: 1 }), normal([1, 2, 5], 1)]],
  avgPool2d: [
    [(x) => deconv.avgPool2d(x, { kernelSize: 2, padding: 1, ceilMode: true, countIncludePad: false }), maps],
  ],
  avgPool3d: [[(x) => deconv.avgPool3d(x, { kernelSize: 2, stride: 1 }), volume]],
  maxPool1d: [[(x) => deconv.maxPool1d(x, { kernelSize: 2 }).output, normal([1, 2, 5], 1)]],
  maxPool2d: [[(x) => deconv.maxPool2d(x, { kernelSize: 3, stride: 1, padding: 1 }).output, maps]],
  maxPool3d: [[(x) => deconv.maxPool3d(x, { kernelSize: 2, stride: 1 }).output, volume]],
  maxUnpool1d: [
    [
      (x) => deconv.maxUnpool1d(x, tensor([[[1, 2]]], { dtype: 'int32' }), { kernelSize: 2 }),
      normal([1, 1, 2], 1),
    ],
  ],
  maxUnpool2d: [
    [(x) => deconv.maxUnpool2d(x, unpoolIndices, { kernelSize: 2, stride: 1 }), normal([1, 1, 2, 2], 1)],
  ],
  maxUnpool3d: [
    [
      (x) => deconv.maxUnpool3d(x, tensor([5], [1, 1, 1, 1, 1], { dtype: 'int32' }), { kernelSize: 2 }),
      normal([1, 1, 1, 1, 1], 1),
    ],
  ],
  unfold: [[(x) => deconv.unfold(x, { kernelSize: 2, padding: 1 }), normal([1, 2, 2, 3], 1)]],
  fold: [[(x) => deconv.fold(x, { kernelSize: 2, stride: 1, outputSize: [3, 2] }), normal([1, 4, 2], 1)]],
  unrolledMatrix: [[(w) => deconv.unrolledMatrix(w, [3, 3], { padding: 1 }), normal([2, 1, 2, 2], 1)]],
};

/** Root exports through which no gradient flows, and why. */
export const NOT_DIFFERENTIABLE: Readonly<Record<string, readonly string[]>> = {
  'engine, gradients and checks': [
    'configure',
    'grad',
    'isGradEnabled',
    'noGrad',
    'adjointCheck',
    'gradcheck',
    'DeconvError',
    'Tensor',
  ],
  'makers of tensors': ['arange', 'full', 'ones', 'rand', 'randn', 'randomStream', 'tensor', 'zeros'],
  'answers that step or are not tensors': [
    'allClose',
    'equal',
    'greater',
    'greaterEqual',
    'argMax',
    'toDisplay',
  ],
  'integers: sizes and coverage; no tensors go in': ['coverage', ...Object.keys(geometry)],
};
