/**
 * conv: one frozen record for every convolution of the library, checked once and then trusted.
 *
 * A convolution relates three arrays: x (its input), w (its weight) and y (its output). A transposed convolution is the
 * same relation read from y to x, so both are described by the same {@link ConvGeometry}; only the roles differ. Its
 * weight (in, out/groups, …k) is, element for element, the weight (out, in/groups, …k) of the convolution that it
 * transposes.
 *
 * Refuses, with the numbers: outputs smaller than 1, channels that do not divide by groups, wrong ranks, weights in
 * another layout (and says which), outputPadding ≥ max(stride, dilation), fractions and NaN.
 */
import { refuse, show } from '../errors.js';
import { checkShape, type PerAxis, perAxis, range, type Shape, showShape } from '../shape.js';
import {
  convAxis,
  convTransposeAxis,
  kernelExtent,
  type Pad,
  padConvTransposeTo,
  samePadConv,
} from './axis.js';

/** Padding of all axes: a number, one per axis, `[before, after]` per axis, or a name. */
export type Padding = number | readonly (number | readonly [number, number])[] | 'valid' | 'same';

/** The options that decide a convolution's sizes. */
export interface ConvGeometryOptions {
  /** Step between windows, per axis. Integers ≥ 1. Default 1. */
  readonly stride?: PerAxis | undefined;
  /** Zeros added around the input; negative crops it; `'same'` gives ceil(n / stride), the odd one after. Default 0. */
  readonly padding?: Padding | undefined;
  /** Distance between taps, per axis; 1 = dense. Integers ≥ 1. Default 1. */
  readonly dilation?: PerAxis | undefined;
  /** Channels are split into this many independent groups. Default 1. */
  readonly groups?: number | undefined;
}

/** The options that decide a transposed convolution's sizes. */
export interface ConvTransposeGeometryOptions {
  /** Distance between the places where neighbouring inputs are written, per axis. Integers ≥ 1. Default 1. */
  readonly stride?: PerAxis | undefined;
  /** Rows cut *off* the output; negative extends it; `'same'` gives n·stride. Default 0. */
  readonly padding?: Padding | undefined;
  /** Distance between taps, per axis; 1 = dense. Integers ≥ 1. Default 1. */
  readonly dilation?: PerAxis | undefined;
  /** Channels are split into this many independent groups. Default 1. */
  readonly groups?: number | undefined;
  /** Rows cut off *less* after the last: real values where taps reach, 0 ≤ outputPadding < max(stride, dilation). Default 0. */
  readonly outputPadding?: PerAxis | undefined;
  /**
   * The wanted output size: spatial sizes, or the whole shape. With `padding: 'same'` the crop is chosen for it, else
   * outputPadding is. Default: as the formula gives.
   */
  readonly outputShape?: readonly number[] | undefined;
}

/**
 * The sizes of one convolution y = conv(x, w), or of its transpose from y to x. All arrays are one entry per spatial
 * axis. `padAfter` is informative: kernels go by the sizes alone.
 */
export interface ConvGeometry {
  /** Number of spatial axes, 1 to 3. */
  readonly rank: number;
  readonly batch: number;
  readonly groups: number;
  /** Channels of x, the convolution's input (the transposed convolution's output). */
  readonly xChannels: number;
  /** Channels of y, the convolution's output (the transposed convolution's input). */
  readonly yChannels: number;
  readonly xSize: readonly number[];
  readonly ySize: readonly number[];
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padBefore: readonly number[];
  readonly padAfter: readonly number[];
}

/** Shape of x: (batch, xChannels, …xSize). */
export function xShapeOf(g: ConvGeometry): number[] {
  return [g.batch, g.xChannels, ...g.xSize];
}

/** Shape of y: (batch, yChannels, …ySize). */
export function yShapeOf(g: ConvGeometry): number[] {
  return [g.batch, g.yChannels, ...g.ySize];
}

/** Shape of w: (yChannels, xChannels / groups, …kernelSize), which is OIHW of the convolution and IOHW of its transpose. */
export function weightShapeOf(g: ConvGeometry): number[] {
  return [g.yChannels, g.xChannels / g.groups, ...g.kernelSize];
}

/** Useful floating-point operations of one pass: 2 · batch · |y space| · yChannels · xChannels/groups · |kernel|. */
export function flopsOf(g: ConvGeometry): number {
  const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
  return 2 * g.batch * product(g.ySize) * g.yChannels * (g.xChannels / g.groups) * product(g.kernelSize);
}

/** Explicit pads, or the name that asks for computed ones. */
export type Pads = readonly Pad[] | 'same';

/** Reads any form of {@link Padding}: explicit pads, one per axis, or `'same'`. Refuses the rest under `op`'s name. */
export function readPadding(op: string, padding: unknown, rank: number): Pads {
  if (padding === 'same') return padding;
  if (padding === undefined || padding === 'valid') padding = 0;
  const list: unknown = typeof padding === 'number' ? new Array(rank).fill(padding) : padding;
  if (!Array.isArray(list)) {
    const hint =
      typeof padding === 'string' && /^(same|valid)/i.test(padding)
        ? "lower case; ONNX's names: fromDialect('onnx', …)"
        : undefined;
    return refuse(
      op,
      'padding',
      `padding must be an integer, one per axis, [before, after] per axis, 'valid' or 'same', got ${show(padding)}`,
      hint,
    );
  }
  if (list.length !== rank) {
    const flat = list.length === 2 * rank && list.every((entry) => typeof entry === 'number');
    const pairs = range(rank).map((axis) => `[${list[2 * axis]}, ${list[2 * axis + 1]}]`);
    return refuse(
      op,
      'padding',
      `padding needs ${rank} entr${rank === 1 ? 'y' : 'ies'} (one per spatial axis), got ${list.length}`,
      flat ? `write [before, after] pairs: [${pairs.join(', ')}]` : undefined,
    );
  }
  return list.map((entry: unknown): Pad => {
    const pair: readonly unknown[] = Array.isArray(entry) ? entry : [entry, entry];
    if (pair.length !== 2) {
      return refuse(
        op,
        'padding',
        `padding of one axis must be an integer or [before, after], got ${show(entry)}`,
      );
    }
    const [before, after] = pair as readonly [number, number];
    if (!pair.every(Number.isInteger)) {
      refuse(op, 'padding', `padding must be made of integers, got ${show(padding)}`);
    }
    return { before, after };
  });
}

/** The number of spatial axes. */
function readRank(op: string, inputShape: Shape, weightShape: Shape): number {
  checkShape(op, 'input', inputShape);
  checkShape(op, 'weight', weightShape);
  const rank = inputShape.length - 2;
  if (rank < 1 || rank > 3) {
    refuse(
      op,
      'input',
      `input must be (batch, channels, …1 to 3 spatial axes), got rank ${inputShape.length} ${showShape(inputShape)}`,
    );
  }
  if (weightShape.length !== rank + 2) {
    refuse(
      op,
      'weight',
      `weight must have rank ${rank + 2} for an input of rank ${rank + 2}, got rank ${weightShape.length} ${showShape(weightShape)}`,
    );
  }
  for (let axis = 0; axis < rank; axis++) {
    if (inputShape[axis + 2] < 1) {
      refuse(op, 'input', `input spatial axis ${axis} must be ≥ 1, got shape ${showShape(inputShape)}`);
    }
  }
  if (inputShape[1] < 1)
    refuse(op, 'input', `input must have ≥ 1 channel, got shape ${showShape(inputShape)}`);
  if (weightShape.some((length) => length < 1)) {
    refuse(op, 'weight', `weight must have axes ≥ 1, got shape ${showShape(weightShape)}`);
  }
  return rank;
}

/** Refuses a weight for other channels than the input has, and tells which layout it may be in. */
function checkWeightChannels(
  op: string,
  channels: number,
  groups: number,
  weightShape: Shape,
  transposed: boolean,
): void {
  const axis = transposed ? 0 : 1;
  const inGroup = transposed ? channels : channels / groups;
  if (weightShape[axis] === inGroup) return;
  const share = inGroup === channels ? channels : `${channels} / groups ${groups} = ${inGroup}`;
  const space = 'DHW'.slice(5 - weightShape.length);
  const own = transposed ? `IO${space}` : `OI${space}`;
  const layouts = [
    [`IO${space}`, "a transposed convolution's"],
    [transposed && groups > 1 ? '' : `OI${space}`, "a convolution's"],
    [`${space}IO`, 'TensorFlow, JAX, numpy-ml'],
    [`${space}OI`, "Keras' transposed convolution"],
  ];
  const [hint] = layouts
    .filter(([letters]) => weightShape[letters.indexOf('I')] === inGroup)
    .map(([letters, whose]) => {
      const order = [...own].map((letter) => letters.indexOf(letter));
      return `this looks like ${letters} (${whose}): permute(weight, [${order.join(', ')}])`;
    });
  refuse(
    op,
    'weight',
    `weight must be ${own} with ${share} input channels in axis ${axis}, got ${showShape(weightShape)}`,
    hint,
  );
}

/** What convolutions and transposed ones have in common. */
function readCommon(
  op: string,
  inputShape: Shape,
  weightShape: Shape,
  options: ConvGeometryOptions,
  transposed: boolean,
) {
  const rank = readRank(op, inputShape, weightShape);
  const [batch, channels] = inputShape;
  const { groups = 1 } = options;
  if (!Number.isInteger(groups) || groups < 1) {
    refuse(op, 'groups', `groups must be an integer ≥ 1, got ${show(groups)}`);
  }
  if (channels % groups !== 0) {
    refuse(op, 'groups', `input channels ${channels} must divide by groups ${groups}`);
  }
  checkWeightChannels(op, channels, groups, weightShape, transposed);
  const [first, second] = weightShape;
  if (!transposed && first % groups !== 0) {
    refuse(op, 'groups', `output channels ${first} must divide by groups ${groups}`);
  }
  return {
    rank,
    batch,
    groups,
    xChannels: transposed ? second * groups : channels,
    yChannels: transposed ? channels : first,
    kernelSize: weightShape.slice(2),
    stride: perAxis(op, 'stride', options.stride ?? 1, rank, 1),
    dilation: perAxis(op, 'dilation', options.dilation ?? 1, rank, 1),
  };
}

/** The record, frozen. */
function frozen(
  common: ReturnType<typeof readCommon>,
  xSize: readonly number[],
  ySize: readonly number[],
  pads: readonly Pad[],
): ConvGeometry {
  const padBefore = pads.map(({ before }) => before);
  const padAfter = pads.map(({ after }) => after);
  const geometry = { ...common, xSize, ySize, padBefore, padAfter };
  for (const value of Object.values(geometry)) Object.freeze(value);
  return Object.freeze(geometry);
}

/**
 * Checks a convolution and gives its sizes: out = floor((n + pb + pa − d(k−1) − 1) / s) + 1 per axis.
 *
 * @param inputShape (batch, channels, …space)
 * @param weightShape (out, in/groups, …kernelSize)
 * @param options stride, padding, dilation, groups
 * @param op the name to complain under
 * @example
 * ```ts
 * import { convGeometry } from 'deconv';
 * console.log(convGeometry([1, 3, 227, 227], [96, 3, 11, 11], { stride: 4 }).ySize); // [ 55, 55 ]
 * ```
 */
export function convGeometry(
  inputShape: Shape,
  weightShape: Shape,
  options: ConvGeometryOptions = {},
  op = 'convGeometry',
): ConvGeometry {
  const common = readCommon(op, inputShape, weightShape, options, false);
  const { rank, kernelSize, stride, dilation } = common;
  const pads = readPadding(op, options.padding, rank);
  const xSize = inputShape.slice(2);
  const pad = xSize.map((n, axis) =>
    pads === 'same' ? samePadConv(n, kernelSize[axis], stride[axis], dilation[axis]) : pads[axis],
  );
  const ySize = xSize.map((n, axis) => {
    const [k, s, d, p] = [kernelSize[axis], stride[axis], dilation[axis], pad[axis]];
    const out = convAxis(n, k, s, d, p);
    if (out < 1) {
      refuse(
        op,
        'kernelSize',
        `output size of axis ${axis} would be ${out}, must be ≥ 1: the kernel spans ${kernelExtent(k, d)} (kernelSize ${k}, dilation ${d}) but the padded input is ${n + p.before + p.after} long (${n} + ${p.before} + ${p.after})`,
      );
    }
    return out;
  });
  return frozen(common, xSize, ySize, pad);
}

/** The spatial part of a wanted output shape: given whole, its batch and channels are held against the call's. */
function readOutputShape(
  op: string,
  wanted: unknown,
  batch: number,
  channels: number,
  rank: number,
): number[] {
  if (!Array.isArray(wanted))
    refuse(op, 'outputShape', `outputShape must be an array of sizes, got ${show(wanted)}`);
  if (wanted.length === rank + 2) {
    if (wanted[0] !== batch || wanted[1] !== channels) {
      refuse(
        op,
        'outputShape',
        `outputShape ${showShape(wanted)} must start with batch ${batch} and channels ${channels}`,
      );
    }
    wanted = wanted.slice(2);
  }
  return perAxis(op, 'outputShape', wanted, rank, 1);
}

/**
 * Checks a transposed convolution and gives its sizes: out = (n−1)s − pb − pa + d(k−1) + 1 + op per axis. In the
 * record, y is its input and x its output.
 *
 * @param inputShape (batch, channels, …space)
 * @param weightShape (in, out/groups, …kernelSize)
 * @param options stride, padding, dilation, groups, outputPadding, outputShape
 * @param op the name to complain under
 * @example
 * ```ts
 * import { convTransposeGeometry } from 'deconv';
 * console.log(convTransposeGeometry([1, 96, 55, 55], [96, 3, 11, 11], { stride: 4 }).xSize); // [ 227, 227 ]
 * ```
 */
export function convTransposeGeometry(
  inputShape: Shape,
  weightShape: Shape,
  options: ConvTransposeGeometryOptions = {},
  op = 'convTransposeGeometry',
): ConvGeometry {
  const common = readCommon(op, inputShape, weightShape, options, true);
  const { rank, kernelSize, stride, dilation } = common;
  const outputPadding = perAxis(op, 'outputPadding', options.outputPadding ?? 0, rank, 0);
  const pads = readPadding(op, options.padding, rank);
  const ySize = inputShape.slice(2);
  const { outputShape } = options;
  const wanted =
    outputShape === undefined
      ? undefined
      : readOutputShape(op, outputShape, common.batch, common.xChannels, rank);
  if (wanted && outputPadding.some((extra) => extra !== 0)) {
    refuse(op, 'outputPadding', 'outputPadding and outputShape both set the output size; give one');
  }

  const xSize: number[] = [];
  const left = ySize.map((n, axis): Pad => {
    const [k, s, d] = [kernelSize[axis], stride[axis], dilation[axis]];
    const target = wanted?.[axis];
    if (pads === 'same' && target && Math.ceil(target / s) !== n) {
      refuse(
        op,
        'outputShape',
        `outputShape ${target} of axis ${axis} must satisfy ceil(outputShape / stride ${s}) = input ${n} with padding 'same'`,
      );
    }
    const pad = pads === 'same' ? padConvTransposeTo(target ?? n * s, n, k, s, d) : pads[axis];
    const least = convTransposeAxis(n, k, s, d, pad, 0);
    const extra = target ? target - least : outputPadding[axis];
    const most = Math.max(s, d) - 1;
    if (target && (extra < 0 || extra > most)) {
      refuse(
        op,
        'outputShape',
        `outputShape ${target} of axis ${axis} must lie in [${least}, ${least + most}] for input ${n}, kernelSize ${k}, stride ${s}, padding [${pad.before}, ${pad.after}]`,
      );
    }
    if (extra > most) {
      refuse(op, 'outputPadding', `outputPadding ${extra} must be < max(stride ${s}, dilation ${d})`);
    }
    const out = least + extra;
    if (out < 1) {
      refuse(
        op,
        'padding',
        `output size of axis ${axis} would be ${out}, must be ≥ 1: (${n} − 1)·${s} − ${pad.before} − ${pad.after} + ${kernelExtent(k, d)} + ${extra}`,
      );
    }
    xSize.push(out);
    return { before: pad.before, after: pad.after - extra };
  });
  return frozen(common, xSize, ySize, left);
}
