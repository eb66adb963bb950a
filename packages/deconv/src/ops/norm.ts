/**
 * norm: normalisations. All compute (x − mean) / √(variance + eps) · weight + bias and differ in what mean and variance
 * are taken over. Composed of recorded operations, so their gradients need no code here.
 */
import { noGrad } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import { type Shape, showShape, sizeOf } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { add, div, mul, sqrt, square, sub } from './elementwise.js';
import { asFloat } from './input.js';
import { reshape } from './layout.js';
import { mean } from './reduce.js';

/** What all normalisations take. */
export interface NormOptions {
  /** Factor per channel (layerNorm: per normalised element). Default none. */
  readonly weight?: Tensor | undefined;
  /** Term per channel (layerNorm: per normalised element). Default none. */
  readonly bias?: Tensor | undefined;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
}

function readEps(op: string, eps: number | undefined): number {
  if (eps === undefined) return 1e-5;
  if (!(Number.isFinite(eps) && eps >= 0)) refuse(op, 'eps', `eps must be a number ≥ 0, got ${show(eps)}`);
  return eps;
}

/** weight and bias of one value per channel, shaped to broadcast over (N, C, …). */
function scaleChannels(op: string, x: Tensor, options: NormOptions): Tensor {
  const channels = x.shape[1];
  const broadcast = [1, channels, ...x.shape.slice(2).map(() => 1)];
  const read = (argument: 'weight' | 'bias', given: Tensor) => {
    const values = asFloat(op, argument, given);
    if (values.rank !== 1 || values.shape[0] !== channels) {
      refuse(op, argument, `${argument} must have shape [${channels}], got ${showShape(values.shape)}`);
    }
    return reshape(given, broadcast);
  };
  const scaled = options.weight === undefined ? x : mul(x, read('weight', options.weight));
  return options.bias === undefined ? scaled : add(scaled, read('bias', options.bias));
}

function readInput(op: string, x: Tensor, least: number): Tensor {
  const input = asFloat(op, 'x', x);
  if (input.rank < least)
    refuse(op, 'x', `x must be (N, C, …) of rank ≥ ${least}, got ${showShape(input.shape)}`);
  return input;
}

/** Options of {@link batchNorm}. */
export interface BatchNormOptions extends NormOptions {
  /** Mean per channel: used when not training, updated when training. */
  readonly runningMean?: Tensor | undefined;
  /** Variance per channel: used when not training, updated (with the unbiased estimate) when training. */
  readonly runningVar?: Tensor | undefined;
  /** Take mean and variance from this batch rather than from the running ones. Default false. */
  readonly training?: boolean | undefined;
  /** running ← (1 − momentum)·running + momentum·batch. Default 0.1. */
  readonly momentum?: number | undefined;
}

/**
 * Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167): mean and variance per channel, over batch and space.
 *
 * @param x (N, C, …)
 * @throws DeconvError when not training without running statistics, or training on one value per channel
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  return scoped(() => normaliseBatch(x, options));
}

function normaliseBatch(x: Tensor, options: BatchNormOptions): Tensor {
  const op = 'batchNorm';
  checkOptions(op, options, ['weight', 'bias', 'eps', 'runningMean', 'runningVar', 'training', 'momentum']);
  const input = readInput(op, x, 2);
  const eps = readEps(op, options.eps);
  const { runningMean, runningVar, momentum = 0.1 } = options;
  if (!(Number.isFinite(momentum) && momentum >= 0 && momentum <= 1)) {
    refuse(op, 'momentum', `momentum must be a number in [0, 1], got ${show(momentum)}`);
  }
  const channels = input.shape[1];
  for (const [argument, running] of Object.entries({ runningMean, runningVar })) {
    if (running === undefined) continue;
    const { shape, dtype } = asFloat(op, argument, running);
    if (shape.length !== 1 || shape[0] !== channels)
      refuse(op, argument, `${argument} must have shape [${channels}], got ${showShape(shape)}`);
    if (dtype !== input.dtype) refuse(op, argument, `${argument} is ${dtype} but x is ${input.dtype}`);
  }
  const training = options.training ?? false;
  if (typeof training !== 'boolean')
    refuse(op, 'training', `training must be true or false, got ${show(training)}`);
  const broadcast = [1, channels, ...input.shape.slice(2).map(() => 1)];
  if (!training) {
    if (runningMean === undefined || runningVar === undefined) {
      refuse(op, 'runningMean', 'runningMean and runningVar are required unless training is true');
    }
    const centred = sub(input, reshape(runningMean, broadcast));
    return scaleChannels(op, div(centred, sqrt(add(reshape(runningVar, broadcast), eps))), options);
  }
  const count = input.size / channels;
  if (count <= 1)
    refuse(op, 'x', `training needs more than 1 value per channel, got shape ${showShape(input.shape)}`);
  const axis = input.shape.map((_, at) => at).filter((at) => at !== 1);
  const average = mean(input, { axis, keepDims: true });
  const centred = sub(input, average);
  const spread = mean(square(centred), { axis, keepDims: true });
  noGrad(() => {
    const follow = (running: Tensor | undefined, batch: Tensor) =>
      running?.assign(add(mul(running, 1 - momentum), mul(reshape(batch, [channels]), momentum)));
    follow(runningMean, average.detach());
    follow(runningVar, mul(spread.detach(), count / (count - 1)));
  });
  return scaleChannels(op, div(centred, sqrt(add(spread, eps))), options);
}

/**
 * Group normalisation (Wu & He 2018, arXiv:1803.08494): mean and variance per picture and group of channels.
 *
 * @param x (N, C, …)
 * @param groups number of groups; channels must divide by it
 */
export function groupNorm(x: Tensor, groups: number, options: NormOptions = {}): Tensor {
  return scoped(() => grouped('groupNorm', x, groups, options));
}

/** Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022): mean and variance per picture and channel. */
export function instanceNorm(x: Tensor, options: NormOptions = {}): Tensor {
  return scoped(() => grouped('instanceNorm', x, undefined, options));
}

function grouped(op: string, x: Tensor, groups: number | undefined, options: NormOptions): Tensor {
  checkOptions(op, options, ['weight', 'bias', 'eps']);
  const input = readInput(op, x, op === 'instanceNorm' ? 3 : 2);
  const eps = readEps(op, options.eps);
  const channels = input.shape[1];
  const count = op === 'instanceNorm' ? channels : (groups as number);
  if (!Number.isInteger(count) || count < 1 || channels % count !== 0) {
    refuse(
      op,
      'groups',
      `groups must be an integer ≥ 1 that divides channels ${channels}, got ${show(groups)}`,
    );
  }
  const rows = reshape(input, [input.shape[0], count, sizeOf(input.shape.slice(1)) / count]);
  return scaleChannels(op, reshape(normaliseLast(rows, 1, eps), input.shape), options);
}

/** (x − mean) / √(variance + eps) over the last `axes` axes. */
function normaliseLast(x: Tensor, axes: number, eps: number): Tensor {
  const over = { axis: Array.from({ length: axes }, (_, i) => x.rank - axes + i), keepDims: true };
  const centred = sub(x, mean(x, over));
  return div(centred, sqrt(add(mean(square(centred), over), eps)));
}

/**
 * Layer normalisation (Ba et al. 2016, arXiv:1607.06450): mean and variance over the last axes.
 *
 * @param x any shape
 * @param normalizedShape the last axes of x, over which to normalise; weight and bias have this shape
 */
export function layerNorm(x: Tensor, normalizedShape: Shape, options: NormOptions = {}): Tensor {
  const op = 'layerNorm';
  checkOptions(op, options, ['weight', 'bias', 'eps']);
  const input = asFloat(op, 'x', x);
  if (!Array.isArray(normalizedShape)) {
    refuse(op, 'normalizedShape', `normalizedShape must be an array, got ${show(normalizedShape)}`);
  }
  const last = input.shape.slice(input.rank - normalizedShape.length);
  if (
    normalizedShape.length === 0 ||
    normalizedShape.length > input.rank ||
    showShape(last) !== showShape(normalizedShape)
  ) {
    refuse(
      op,
      'normalizedShape',
      `normalizedShape ${showShape(normalizedShape)} must be the last axes of x ${showShape(input.shape)}`,
    );
  }
  const read = (argument: 'weight' | 'bias', given: Tensor) => {
    if (showShape(asFloat(op, argument, given).shape) !== showShape(last)) {
      refuse(op, argument, `${argument} must have shape ${showShape(last)}, got ${showShape(given.shape)}`);
    }
    return given;
  };
  return scoped(() => {
    const normal = normaliseLast(input, last.length, readEps(op, options.eps));
    const scaled = options.weight === undefined ? normal : mul(normal, read('weight', options.weight));
    return options.bias === undefined ? scaled : add(scaled, read('bias', options.bias));
  });
}
