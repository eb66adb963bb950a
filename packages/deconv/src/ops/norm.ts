/**
 * norm: normalisations. All compute (x − mean) / √(variance + eps) · weight + bias and differ in what mean and variance
 * are taken over. One operation on the tape each, its gradient written down and made of recorded operations, so that it
 * has gradients too.
 */
import { isGradEnabled, noGrad, record } from '../autograd.js';
import type { Channels } from '../backend.js';
import { checkOptions, refuse, show } from '../errors.js';
import { type Shape, showShape, sizeOf } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { affine, byChannel, channelDot, channelSum, countOf } from './channels.js';
import { add, div, mul, reciprocal, sqrt, square } from './elementwise.js';
import { asFloat, sameType } from './input.js';
import { expand, reshape } from './layout.js';
import { mean, sum } from './reduce.js';

/** What all normalisations take. */
export interface NormOptions {
  /** Factor per channel (layerNorm: per normalised element). Default none. */
  readonly weight?: Tensor | undefined;
  /** Term per channel (layerNorm: per normalised element). Default none. */
  readonly bias?: Tensor | undefined;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Factor and term per channel, as far as there are any. */
interface Scale {
  readonly weight: Tensor | undefined;
  readonly bias: Tensor | undefined;
}

/** Running statistics, and how they follow those of a batch. */
interface Running {
  readonly runningMean: Tensor | undefined;
  readonly runningVar: Tensor | undefined;
  readonly momentum: number;
}

/** Mean and variance, and 1 / √(variance + eps). */
interface Statistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
  readonly scale: Tensor;
}

/** What there is of a scale, and what {@link tracer} is told of it. */
const present = ({ weight, bias }: Scale) => [weight, bias].filter((x) => x !== undefined);
const formOf = (eps: number, { weight, bias }: Scale) => ({
  eps,
  weight: weight !== undefined,
  bias: bias !== undefined,
});

/** 1 / √(variance + eps) */
const scaleOf = (variance: Tensor, eps: number): Tensor => reciprocal(sqrt(add(variance, eps)));

/** Mean and variance of each channel: recorded, if recording is on. */
function statisticsOf(x: Tensor, c: Channels, eps: number): Statistics {
  const count = countOf(c);
  const mean = div(channelSum(x, c), count);
  const variance = div(channelDot(c, x, mean, x, mean), count);
  return { mean, variance, scale: scaleOf(variance, eps) };
}

/**
 * x̂·weight + bias with x̂ = (x − mean)·r, r = 1 / √(variance + eps). `fine` are the channels that weight and bias go by;
 * `share` neighbours of them have one mean and variance. With sums over what shares a mean, and its count M:
 *
 *     gradX = r·(w·g − Σ(w·g)/M − x̂·Σ(w·g·x̂)/M)
 *     gradWeight = Σ g·x̂,  gradBias = Σ g
 *
 * One pass for each sum and one for the result, on the way there as on the way back. What these formulas read is computed
 * again, and recorded, where the gradient is to be differentiated itself.
 */
function normalise(
  name: string,
  x: Tensor,
  fine: Channels,
  share: number,
  eps: number,
  { weight, bias }: Scale,
): { output: Tensor; statistics: Statistics } {
  const count = fine.channels / share;
  const coarse: Channels = { outer: fine.outer, channels: count, inner: fine.inner * share };
  const spread = (t: Tensor) =>
    share === 1 ? t : reshape(expand(reshape(t, [count, 1]), [count, share]), [fine.channels]);
  const gather = (t: Tensor) => (share === 1 ? t : sum(reshape(t, [count, share]), 1));
  const weighted = (t: Tensor) => (weight === undefined ? t : mul(t, weight));

  const saved = noGrad(() => statisticsOf(x, coarse, eps));
  const output = noGrad(() =>
    affine(
      fine,
      x.shape,
      { values: x, mean: spread(saved.mean), factor: weighted(spread(saved.scale)) },
      bias,
    ),
  );
  const vjp = (g: Tensor) => {
    const { mean, scale } = isGradEnabled() ? statisticsOf(x, coarse, eps) : saved;
    const total = channelSum(g, fine);
    const along = channelDot(fine, g, undefined, x, spread(mean));
    const gradInput = () => {
      const each = mul(scale, -1 / countOf(coarse));
      const term = spread(mul(each, gather(weighted(total))));
      const slope = spread(mul(mul(each, square(scale)), gather(weighted(along))));
      const first = { values: g, factor: weighted(spread(scale)) };
      return affine(fine, x.shape, first, term, { values: x, mean: spread(mean), factor: slope });
    };
    return [
      x.requiresGrad ? gradInput() : null,
      ...(weight === undefined ? [] : [mul(along, spread(scale))]),
      ...(bias === undefined ? [] : [total]),
    ];
  };
  const inputs = [x, weight, bias].filter((input) => input !== undefined);
  const reads = [x, saved.mean, saved.scale, weight ?? (false as const)];
  return { output: record(name, output, inputs, vjp, reads), statistics: saved };
}

/** Lets running statistics follow those of a batch of `count` values each; the variance in its unbiased form. */
function follow({ runningMean, runningVar, momentum }: Running, batch: Statistics, count: number): void {
  const blend = (running: Tensor | undefined, values: () => Tensor) =>
    running?.assign(add(mul(running, 1 - momentum), mul(values(), momentum)));
  noGrad(() => {
    blend(runningMean, () => batch.mean);
    blend(runningVar, () => mul(batch.variance, count / (count - 1)));
  });
}

function readEps(op: string, eps: number | undefined): number {
  if (eps === undefined) return 1e-5;
  if (!(Number.isFinite(eps) && eps >= 0)) refuse(op, 'eps', `eps must be a number ≥ 0, got ${show(eps)}`);
  return eps;
}

/** Factor and term of one value per channel. */
function readScale(op: string, channels: number, options: NormOptions): Scale {
  const read = (argument: 'weight' | 'bias') => {
    if (options[argument] === undefined) return undefined;
    const values = asFloat(op, argument, options[argument]);
    if (values.rank !== 1 || values.shape[0] !== channels)
      refuse(op, argument, `${argument} must have shape [${channels}], got ${showShape(values.shape)}`);
    return values;
  };
  return { weight: read('weight'), bias: read('bias') };
}

function readInput(op: string, x: Tensor, least: number): Tensor {
  const input = asFloat(op, 'x', x);
  if (input.rank < least)
    refuse(op, 'x', `x must be (N, C, …) of rank ≥ ${least}, got ${showShape(input.shape)}`);
  return input;
}

/** Running statistics of {@link batchNorm} and {@link instanceNorm}. */
export interface RunningOptions extends NormOptions {
  /** Mean per channel; changed by `assign`. */
  readonly runningMean?: Tensor | undefined;
  /** Variance per channel; follows the unbiased estimate. */
  readonly runningVar?: Tensor | undefined;
  /** running ← (1 − momentum)·running + momentum·batch. Default 0.1. */
  readonly momentum?: number | undefined;
}

const RUNNING_OPTIONS = ['weight', 'bias', 'eps', 'runningMean', 'runningVar', 'momentum'] as const;

function readRunning(op: string, input: Tensor, options: RunningOptions): Running {
  const { runningMean, runningVar, momentum = 0.1 } = options;
  if (!(Number.isFinite(momentum) && momentum >= 0 && momentum <= 1))
    refuse(op, 'momentum', `momentum must be a number in [0, 1], got ${show(momentum)}`);
  const channels = input.shape[1];
  for (const [argument, running] of Object.entries({ runningMean, runningVar })) {
    if (running === undefined) continue;
    const { shape, dtype } = asFloat(op, argument, running);
    if (shape.length !== 1 || shape[0] !== channels)
      refuse(op, argument, `${argument} must have shape [${channels}], got ${showShape(shape)}`);
    if (dtype !== input.dtype) refuse(op, argument, `${argument} is ${dtype} but x is ${input.dtype}`);
  }
  return { runningMean, runningVar, momentum };
}

/** Options of {@link batchNorm}. */
export interface BatchNormOptions extends RunningOptions {
  /** Go by the mean and variance of this batch, which the running ones then follow; else by those. Default false. */
  readonly training?: boolean | undefined;
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
  checkOptions(op, options, [...RUNNING_OPTIONS, 'training']);
  const input = readInput(op, x, 2);
  const eps = readEps(op, options.eps);
  const channels = input.shape[1];
  const running = readRunning(op, input, options);
  const training = options.training ?? false;
  if (typeof training !== 'boolean')
    refuse(op, 'training', `training must be true or false, got ${show(training)}`);
  const scale = readScale(op, channels, options);
  sameType(op, { x: input, ...scale });
  const c = byChannel(input.shape);
  if (!training) {
    if (running.runningMean === undefined || running.runningVar === undefined) {
      refuse(op, 'runningMean', 'runningMean and runningVar are required unless training is true');
    }
    // They may have followed another batch by the time of the backward pass.
    const [runningMean, runningVar] = [running.runningMean.snapshot(), running.runningVar.snapshot()];
    const spread = scaleOf(runningVar, eps);
    const factor = scale.weight === undefined ? spread : mul(spread, scale.weight);
    const output = affine(c, input.shape, { values: input, mean: runningMean, factor }, scale.bias);
    tracer?.(op, [input, runningMean, runningVar, ...present(scale)], [output], formOf(eps, scale));
    return output;
  }
  const count = countOf(c);
  if (count <= 1)
    refuse(op, 'x', `training needs more than 1 value per channel, got shape ${showShape(input.shape)}`);
  const { output, statistics } = normalise(op, input, c, 1, eps, scale);
  tracer?.('batchNormTraining', [input, ...present(scale)], [output], formOf(eps, scale));
  follow(running, statistics, count);
  return output;
}

/**
 * Group normalisation (Wu & He 2018, arXiv:1803.08494): mean and variance per picture and group of channels.
 *
 * @param x (N, C, …)
 * @param groups number of groups; channels must divide by it
 */
export function groupNorm(x: Tensor, groups: number, options: NormOptions = {}): Tensor {
  const op = 'groupNorm';
  return scoped(() => {
    checkOptions(op, options, ['weight', 'bias', 'eps']);
    const input = readInput(op, x, 2);
    const { output, eps, scale } = grouped(op, input, groups, options);
    tracer?.(op, [input, ...present(scale)], [output], { ...formOf(eps, scale), groups });
    return output;
  });
}

/**
 * Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022): mean and variance per picture and channel. Running
 * statistics, if given, follow their averages over the batch; to go by them use {@link batchNorm}.
 *
 * @param x (N, C, …) with at least one spatial axis
 */
export function instanceNorm(x: Tensor, options: RunningOptions = {}): Tensor {
  const op = 'instanceNorm';
  return scoped(() => {
    checkOptions(op, options, RUNNING_OPTIONS);
    const input = readInput(op, x, 3);
    const running = readRunning(op, input, options);
    const { output, statistics, eps, scale: given } = grouped(op, input, input.shape[1], options);
    tracer?.(op, [input, ...present(given)], [output], formOf(eps, given));
    const [n, channels, ...space] = input.shape;
    if (n > 0) {
      const average = (values: Tensor) => mean(reshape(values, [n, channels]), 0);
      const { mean: batchMean, variance, scale } = statistics;
      const averaged = noGrad(() => ({ mean: average(batchMean), variance: average(variance), scale }));
      follow(running, averaged, sizeOf(space));
    }
    return output;
  });
}

function grouped(
  op: string,
  input: Tensor,
  groups: number,
  options: NormOptions,
): { output: Tensor; statistics: Statistics; eps: number; scale: Scale } {
  const eps = readEps(op, options.eps);
  const [n, channels, ...space] = input.shape;
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
    refuse(
      op,
      'groups',
      `groups must be an integer ≥ 1 that divides channels ${channels}, got ${show(groups)}`,
    );
  }
  const { weight, bias } = readScale(op, channels, options);
  sameType(op, { x: input, weight, bias });
  // Each channel of each picture is one of its own; weight and bias are the same for every picture.
  const repeated = (values: Tensor | undefined) =>
    values && reshape(expand(reshape(values, [1, channels]), [n, channels]), [n * channels]);
  const fine = { outer: 1, channels: n * channels, inner: sizeOf(space) };
  const scale: Scale = { weight: repeated(weight), bias: repeated(bias) };
  return { ...normalise(op, input, fine, channels / groups, eps, scale), eps, scale: { weight, bias } };
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
    const eps = readEps(op, options.eps);
    const rows = { outer: 1, channels: sizeOf(input.shape.slice(0, -last.length)), inner: sizeOf(last) };
    const plain: Scale = { weight: undefined, bias: undefined };
    const { output: normal } = normalise(op, input, rows, 1, eps, plain);
    const scaled = options.weight === undefined ? normal : mul(normal, read('weight', options.weight));
    const output = options.bias === undefined ? scaled : add(scaled, read('bias', options.bias));
    const scale: Scale = { weight: options.weight, bias: options.bias };
    tracer?.(op, [input, ...present(scale)], [output], { ...formOf(eps, scale), axes: last.length });
    return output;
  });
}
