/**
 * conv: convolution, transposed convolution and the gradient with respect to the weight: three linear maps that are
 * each other's gradients.
 *
 * With ⟨a, b⟩ = Σ a·b and T(x, w, y) = Σ x[n, i, q·s + u·d − pb] · w[o, i, u] · y[n, o, q] they are the three ways to
 * leave one argument out:
 *
 *     T = ⟨forward(x, w), y⟩ = ⟨x, inputGrad(y, w)⟩ = ⟨w, weightGrad(x, y)⟩
 *
 * so the gradient of any of them with respect to either argument is one of the other two. That is all the calculus
 * there is: conv is forward, convTranspose is inputGrad, and double backward needs nothing new.
 */
import { record, run } from '../autograd.js';
import type { Activation } from '../backend.js';
import { checkName, checkOptions, refuse } from '../errors.js';
import {
  type ConvGeometry,
  type ConvGeometryOptions,
  type ConvTransposeGeometryOptions,
  convGeometry,
  convTransposeGeometry,
  weightShapeOf,
  xShapeOf,
  yShapeOf,
} from '../geometry/conv.js';
import { coverageReciprocals } from '../geometry/coverage.js';
import * as operation from '../operations.js';
import { range, type Shape, sameShape, showShape } from '../shape.js';
import { convert, type DType, scoped, type Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { type ActivationOption, readActivation, throughActivation } from './activation.js';
import { factors, product } from './arithmetic.js';
import { asFloat, fromValues, sameType } from './input.js';
import { permuted, sumOver } from './layout.js';

type MaybeBias = Tensor | undefined;

/** Gradient of a bias: the *sum* over batch and space (not the mean), one number per channel. */
function biasGradient(g: Tensor, { shape }: Tensor): Tensor {
  const kept = g.shape.map((length, axis) => (axis === 1 ? length : 1));
  return sumOver('sum', g, kept, shape);
}

/** 1 / coverage over the output plane; broadcasts over batch and channels. */
function shares(g: ConvGeometry, dtype: DType): Tensor {
  return fromValues(convert(dtype, coverageReciprocals(g)), [1, 1, ...g.xSize]);
}

/** forward, or with `transposed` inputGrad: each is the gradient of the other. */
function linear(
  name: string,
  transposed: boolean,
  x: Tensor,
  w: Tensor,
  bias: MaybeBias,
  g: ConvGeometry,
  average = false,
  activation?: Activation,
): Tensor {
  const inputs = bias === undefined ? [x, w] : [x, w, bias];
  const attributes = { geometry: g, bias: bias !== undefined, average, activation };
  const output = transposed
    ? run(operation.convInputGrad, inputs, attributes, xShapeOf(g))
    : run(operation.convForward, inputs, attributes, yShapeOf(g));
  const vjp = (gradOutput: Tensor, y: Tensor) => {
    const gradY = activation === undefined ? gradOutput : throughActivation(gradOutput, y, activation);
    // Averaging divides each output by a constant, so its gradient divides the incoming one by the same.
    const shared = average ? product(gradY, shares(g, gradY.dtype)) : gradY;
    const [from, to] = transposed ? [shared, x] : [x, shared];
    return [
      x.requiresGrad ? linear(`${name} gradInput`, !transposed, shared, w, undefined, g) : null,
      w.requiresGrad ? weightGrad(`${name} gradWeight`, from, to, g) : null,
      bias?.requiresGrad ? biasGradient(gradY, bias) : null,
    ];
  };
  return record(name, output, inputs, vjp, [...factors(x, w), activation !== undefined && output]);
}

function weightGrad(name: string, x: Tensor, y: Tensor, g: ConvGeometry): Tensor {
  const output = run(
    operation.convWeightGrad,
    [x, y],
    { geometry: g, bias: false, average: false },
    weightShapeOf(g),
  );
  const vjp = (gradW: Tensor) => [
    x.requiresGrad ? linear(`${name} gradInput`, true, y, gradW, undefined, g) : null,
    y.requiresGrad ? linear(`${name} gradOutput`, false, x, gradW, undefined, g) : null,
  ];
  return record(name, output, [x, y], vjp, factors(x, y));
}

/** Where the channels of the data stand. The weight's layout does not change with it. */
export type DataFormat = 'NCHW' | 'NHWC';

/** Options of {@link conv1d}, {@link conv2d} and {@link conv3d}. */
export interface ConvOptions extends ConvGeometryOptions {
  /** One value per output channel, added to every output. Shape (out). Default none. */
  readonly bias?: Tensor | undefined;
  /** `'NCHW'`: (batch, channels, …space); `'NHWC'`: (batch, …space, channels), for input and output. Default `'NCHW'`. */
  readonly dataFormat?: DataFormat | undefined;
  /**
   * A function applied to every output before it is stored: `'relu'`, `'sigmoid'`, `'tanh'`, `{ name: 'leakyRelu', slope }`,
   * `{ name: 'clamp', min, max }`. The same as applying it afterwards, without another pass over memory. Default none.
   */
  readonly activation?: ActivationOption | undefined;
}

/** Options of {@link convTranspose1d}, {@link convTranspose2d} and {@link convTranspose3d}. */
export interface ConvTransposeOptions extends ConvTransposeGeometryOptions {
  /** One value per output channel, added to every output, after averaging. Shape (out). Default none. */
  readonly bias?: Tensor | undefined;
  /** `'NCHW'`: (batch, channels, …space); `'NHWC'`: (batch, …space, channels), for input and output. Default `'NCHW'`. */
  readonly dataFormat?: DataFormat | undefined;
  /**
   * What happens where contributions overlap: `'sum'` adds them, as every framework does; `'average'` divides each
   * output by its coverage, the number of (input, tap) pairs that reach it, counted before the crop. Channels still
   * sum. Default `'sum'`.
   */
  readonly overlap?: 'sum' | 'average' | undefined;
  /** A function applied to every output before it is stored; as in {@link ConvOptions}. Default none. */
  readonly activation?: ActivationOption | undefined;
}

const CONV_OPTIONS = ['bias', 'stride', 'padding', 'dilation', 'groups', 'dataFormat', 'activation'] as const;
const CONV_TRANSPOSE_OPTIONS = [...CONV_OPTIONS, 'outputPadding', 'outputShape', 'overlap'] as const;

/** Refuses data of another rank than its format has. */
function checkRank(op: string, rank: number, { shape }: Tensor, format: DataFormat): void {
  if (shape.length === rank + 2) return;
  const axes = format === 'NCHW' ? '(batch, channels, …space)' : '(batch, …space, channels)';
  refuse(
    op,
    'input',
    `input must be ${axes} of rank ${rank + 2}, got rank ${shape.length} ${showShape(shape)}`,
    shape.length === rank + 1 ? 'add a batch axis: reshape(x, [1, ...x.shape])' : undefined,
  );
}

function checkBias(op: string, bias: MaybeBias, channels: number): void {
  if (bias !== undefined && (bias.rank !== 1 || bias.shape[0] !== channels)) {
    refuse(
      op,
      'bias',
      `bias must have shape [${channels}] (one per output channel), got ${showShape(bias.shape)}`,
    );
  }
}

/** Geometries of calls, and how many are remembered. */
const remembered = new Map<string, ConvGeometry>();
const MOST_REMEMBERED = 256;

/** What was last asked of a weight, by its shape. */
interface Last {
  readonly op: string;
  readonly x: Shape;
  readonly options: readonly unknown[];
  readonly geometry: ConvGeometry;
}
const lastOf = new WeakMap<Shape, Last>();

/** Numbers, lists of them and lists of lists, as a text of their own, and the known words; a question mark for anything else. */
function textOf(value: unknown, depth = 2): string {
  if (typeof value === 'number' || value === undefined || value === 'same' || value === 'valid')
    return `${value}`;
  if (!Array.isArray(value) || depth === 0) return '?';
  let text = '[';
  for (const entry of value) text += `${textOf(entry, depth - 1)},`;
  return text;
}

/**
 * The geometry of a call, from an earlier one that said the same: checking and working it out takes longer than a small layer.
 * Only where the options are such that a key tells all.
 */
function recall(
  op: string,
  x: Shape,
  w: Shape,
  options: ConvTransposeOptions,
  geometryOf: (x: Shape, w: Shape) => ConvGeometry,
): ConvGeometry {
  const { stride, padding, dilation, groups, outputPadding, outputShape } = options;
  if (outputShape !== undefined) return geometryOf(x, w);
  const given = [stride, padding, dilation, groups, outputPadding];
  const last = lastOf.get(w);
  // A list may have changed since.
  const same = (option: unknown, i: number) => option === last?.options[i] && typeof option !== 'object';
  if (last?.op === op && sameShape(x, last.x) && given.every(same)) return last.geometry;
  let key = `${op}|${x}|${w}`;
  for (const option of given) key += `|${textOf(option)}`;
  if (key.includes('?')) return geometryOf(x, w);
  let geometry = remembered.get(key);
  if (geometry === undefined) {
    geometry = geometryOf(x, w);
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(key, geometry);
  }
  lastOf.set(w, { op, x, options: given, geometry });
  return geometry;
}

/** What convolutions and transposed ones have in common. */
function convolve(
  op: string,
  transposed: boolean,
  rank: number,
  x: Tensor,
  w: Tensor,
  options: ConvTransposeOptions,
  geometryOf: (x: Shape, w: Shape) => ConvGeometry,
): Tensor {
  return scoped(() => {
    const weight = asFloat(op, 'weight', w);
    const bias = options.bias === undefined ? undefined : asFloat(op, 'bias', options.bias);
    let input = asFloat(op, 'input', x);
    sameType(op, { input, weight, bias });
    const format = options.dataFormat ?? 'NCHW';
    checkName(op, 'dataFormat', format, ['NCHW', 'NHWC']);
    checkRank(op, rank, input, format);
    if (format === 'NHWC') input = permuted(input, [0, rank + 1, ...range(rank).map((axis) => axis + 1)]);
    const geometry = recall(op, input.shape, weight.shape, options, geometryOf);
    checkBias(op, bias, transposed ? geometry.xChannels : geometry.yChannels);
    const activation = readActivation(op, options.activation);
    // Of no pictures nothing is averaged: their planes may be as large as they like.
    const average = options.overlap === 'average' && geometry.batch > 0;
    const output = linear(op, transposed, input, weight, bias, geometry, average, activation);
    if (tracer && !transposed && options.padding === 'same') {
      const inputs = bias === undefined ? [input, weight] : [input, weight, bias];
      tracer('convSame', inputs, [output], { geometry, bias: bias !== undefined, average, activation });
    }
    return format === 'NHWC' ? permuted(output, [0, ...range(rank).map((axis) => axis + 2), 1]) : output;
  });
}

function conv(op: string, rank: number, x: Tensor, w: Tensor, options: ConvOptions = {}): Tensor {
  checkOptions(op, options, CONV_OPTIONS);
  return convolve(op, false, rank, x, w, options, (x, w) => convGeometry(x, w, options, op));
}

function convTranspose(
  op: string,
  rank: number,
  x: Tensor,
  w: Tensor,
  options: ConvTransposeOptions = {},
): Tensor {
  checkOptions(op, options, CONV_TRANSPOSE_OPTIONS);
  checkName(op, 'overlap', options.overlap ?? 'sum', ['sum', 'average']);
  return convolve(op, true, rank, x, w, options, (x, w) => {
    // A whole output shape is written like the data; geometry wants the channels second.
    let { outputShape } = options;
    if (options.dataFormat === 'NHWC' && Array.isArray(outputShape) && outputShape.length === rank + 2) {
      outputShape = [outputShape[0], outputShape[rank + 1], ...outputShape.slice(1, rank + 1)];
    }
    return convTransposeGeometry(x, w, { ...options, outputShape }, op);
  });
}

/** {@link conv2d} along one axis: input (N, C, L), weight (O, C/groups, K). */
export function conv1d(input: Tensor, weight: Tensor, options?: ConvOptions): Tensor {
  return conv('conv1d', 1, input, weight, options);
}

/**
 * Convolution (cross-correlation, as in every deep-learning framework) over two axes:
 *
 *     y[n, o, q] = bias[o] + Σ x[n, i, q·s + u·d − pb] · w[o, i, u]
 *
 * of size floor((n + pb + pa − d(k−1) − 1) / s) + 1 per axis.
 *
 * @param input (N, C, H, W), or (N, H, W, C) with dataFormat 'NHWC'
 * @param weight (O, C/groups, KH, KW)
 * @param options stride, padding, dilation, groups, bias, dataFormat
 * @returns (N, O, OH, OW), or (N, OH, OW, O)
 * @throws DeconvError for an output smaller than 1, channels that do not fit, wrong ranks, unknown options
 * @example
 * ```ts
 * import { conv2d, tensor } from 'deconv';
 * const image = tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]);
 * console.log(conv2d(image, tensor([[[[1, 2], [3, 4]]]])).data); // Float32Array(4) [ 37, 47, 67, 77 ]
 * ```
 */
export function conv2d(input: Tensor, weight: Tensor, options?: ConvOptions): Tensor {
  return conv('conv2d', 2, input, weight, options);
}

/** {@link conv2d} over three axes: input (N, C, D, H, W), weight (O, C/groups, KD, KH, KW). */
export function conv3d(input: Tensor, weight: Tensor, options?: ConvOptions): Tensor {
  return conv('conv3d', 3, input, weight, options);
}

/** {@link convTranspose2d} along one axis: input (N, C, L), weight (C, O/groups, K). */
export function convTranspose1d(input: Tensor, weight: Tensor, options?: ConvTransposeOptions): Tensor {
  return convTranspose('convTranspose1d', 1, input, weight, options);
}

/**
 * Transposed convolution ("deconvolution") over two axes: every input value lays its weighted kernel onto the output,
 *
 *     y[n, o, i·s + u·d − pb] += x[n, c, i] · w[c, o, u]
 *
 * of size (n−1)s − pb − pa + d(k−1) + 1 + outputPadding per axis. Padding crops; negative padding extends.
 *
 * @param input (N, C, H, W), or (N, H, W, C) with dataFormat 'NHWC'
 * @param weight (C, O/groups, KH, KW)
 * @param options stride, padding, dilation, groups, outputPadding, outputShape, overlap, bias, dataFormat
 * @returns (N, O, OH, OW), or (N, OH, OW, O)
 * @throws DeconvError for an output smaller than 1, channels that do not fit, wrong ranks, outputPadding ≥
 *   max(stride, dilation), an outputShape out of reach, unknown options
 * @example
 * ```ts
 * import { convTranspose2d, tensor } from 'deconv';
 * const y = tensor([[[[37, 47], [67, 77]]]]);
 * const w = tensor([[[[1, 2], [3, 4]]]]);
 * console.log(convTranspose2d(y, w).data); // Float32Array(9) [ 37, 121, 94, 178, 500, 342, 201, 499, 308 ]
 * console.log(convTranspose2d(y, w, { overlap: 'average' }).data[4]); // 125
 * ```
 */
export function convTranspose2d(input: Tensor, weight: Tensor, options?: ConvTransposeOptions): Tensor {
  return convTranspose('convTranspose2d', 2, input, weight, options);
}

/** {@link convTranspose2d} over three axes: input (N, C, D, H, W), weight (C, O/groups, KD, KH, KW). */
export function convTranspose3d(input: Tensor, weight: Tensor, options?: ConvTransposeOptions): Tensor {
  return convTranspose('convTranspose3d', 3, input, weight, options);
}
