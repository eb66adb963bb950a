/**
 * norm: the normalisations as layers, with learned factors and terms and, where PyTorch has them, running statistics:
 * `running_mean`, `running_var` (unbiased) and `num_batches_tracked`, which are part of the state but not trained.
 */
import { checkOptions, refuse, show } from '../errors.js';
import { full, ones, zeros } from '../ops/create.js';
import { asFloat } from '../ops/input.js';
import { batchNorm, groupNorm, instanceNorm, layerNorm } from '../ops/norm.js';
import { checkShape, type Shape, showShape } from '../shape.js';
import type { DType, Tensor } from '../tensor.js';
import { Layer } from './module.js';
import { type DTypeOption, readCount, readFlag, readNumber, readType } from './options.js';

/** Options of all normalisations. */
export interface NormLayerOptions extends DTypeOption {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
  /** Learn a factor (1 at first) and a term (0 at first). Default true; of instance normalisations false. */
  readonly affine?: boolean | undefined;
}

/** Options of the normalisations that may keep running statistics. */
export interface TrackedNormOptions extends NormLayerOptions {
  /**
   * running ← (1 − momentum)·running + momentum·batch. Default 0.1. Batch normalisations also take null: the plain average
   * over all batches so far.
   */
  readonly momentum?: number | null | undefined;
  /** Keep running statistics, and go by them in evaluation. Default true; of instance normalisations false. */
  readonly trackRunningStats?: boolean | undefined;
}

/** Factor and term of one value per channel, or per element of a shape. */
abstract class AffineLayer extends Layer {
  readonly eps: number;
  /** Factor; undefined without `affine`. */
  readonly weight: Tensor | undefined;
  /** Term; undefined without `affine`. */
  readonly bias: Tensor | undefined;
  readonly #dtype: DType;

  protected constructor(type: string, shape: Shape, options: NormLayerOptions, affine: boolean) {
    super(type);
    this.eps = readNumber(type, 'eps', options.eps ?? 1e-5, 0);
    this.#dtype = readType(type, options);
    const dtype = this.#dtype;
    if (!readFlag(type, 'affine', options.affine ?? affine)) return;
    this.weight = this.parameter('weight', ones(shape, { dtype }));
    this.bias = this.parameter('bias', zeros(shape, { dtype }));
  }

  protected get affine(): { weight: Tensor | undefined; bias: Tensor | undefined; eps: number } {
    return { weight: this.weight, bias: this.bias, eps: this.eps };
  }
}

/** What batch and instance normalisations share: running statistics per channel, and a rank. */
abstract class TrackedNorm extends AffineLayer {
  readonly numFeatures: number;
  readonly momentum: number | null;
  /** Mean per channel; undefined without `trackRunningStats`. */
  readonly runningMean: Tensor | undefined;
  /** Unbiased variance per channel; undefined without `trackRunningStats`. */
  readonly runningVar: Tensor | undefined;
  /** Number of batches seen in training, int32, rank 0. */
  readonly numBatchesTracked: Tensor | undefined;
  readonly #ranks: readonly number[];

  protected constructor(
    type: string,
    ranks: readonly number[],
    numFeatures: number,
    options: TrackedNormOptions,
    byDefault: boolean,
  ) {
    checkOptions(type, options, ['eps', 'affine', 'momentum', 'trackRunningStats', 'dtype']);
    const count = readCount(type, 'numFeatures', numFeatures);
    super(type, [count], options, byDefault);
    const { momentum = 0.1 } = options;
    const averaging = momentum === null && type.startsWith('Batch');
    if (!averaging && !(typeof momentum === 'number' && momentum >= 0 && momentum <= 1)) {
      const or = type.startsWith('Batch') ? ' or null' : '';
      refuse(type, 'momentum', `momentum must be a number in [0, 1]${or}, got ${show(momentum)}`);
    }
    this.numFeatures = count;
    this.momentum = momentum;
    this.#ranks = ranks;
    if (!readFlag(type, 'trackRunningStats', options.trackRunningStats ?? byDefault)) return;
    const dtype = readType(type, options);
    this.runningMean = this.buffer('running_mean', zeros([count], { dtype }));
    this.runningVar = this.buffer('running_var', ones([count], { dtype }));
    this.numBatchesTracked = this.buffer('num_batches_tracked', zeros([], { dtype: 'int32' }));
  }

  protected readInput(x: Tensor): Tensor {
    const input = asFloat(this.type, 'input', x);
    if (!this.#ranks.includes(input.rank) || input.shape[1] !== this.numFeatures) {
      refuse(
        this.type,
        'input',
        `input must be (N, ${this.numFeatures}, …) of rank ${this.#ranks.join(' or ')}, got ${showShape(input.shape)}`,
      );
    }
    return input;
  }
}

/** What {@link BatchNorm1d}, {@link BatchNorm2d} and {@link BatchNorm3d} share. */
abstract class BatchNorm extends TrackedNorm {
  forward(x: Tensor): Tensor {
    const input = this.readInput(x);
    const { runningMean, runningVar, affine } = this;
    if (runningMean === undefined) return batchNorm(input, { ...affine, training: true });
    if (!this.training) return batchNorm(input, { ...affine, runningMean, runningVar });
    const momentum = this.momentum ?? 1 / (this.#batches + 1);
    const output = batchNorm(input, { ...affine, runningMean, runningVar, momentum, training: true });
    this.numBatchesTracked?.assign(full([], this.#batches + 1, { dtype: 'int32' }));
    return output;
  }

  get #batches(): number {
    return this.numBatchesTracked?.item() ?? 0;
  }
}

/** {@link BatchNorm2d} for (N, C) and (N, C, L). */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: TrackedNormOptions = {}) {
    super('BatchNorm1d', [2, 3], numFeatures, options, true);
  }
}

/**
 * `batchNorm` of (N, C, H, W): in training by the mean and variance of the batch, which the running ones follow; in
 * evaluation by the running ones.
 *
 * @param numFeatures channels C
 * @param options `{ eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true, dtype = 'float32' }`
 * @example
 * ```ts
 * import { randn } from 'deconv';
 * import { BatchNorm2d } from 'deconv/nn';
 * const norm = new BatchNorm2d(3);
 * norm.forward(randn([8, 3, 4, 4]));
 * console.log(Object.keys(norm.stateDict()).join()); // weight,bias,running_mean,running_var,num_batches_tracked
 * ```
 */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: TrackedNormOptions = {}) {
    super('BatchNorm2d', [4], numFeatures, options, true);
  }
}

/** {@link BatchNorm2d} for (N, C, D, H, W). */
export class BatchNorm3d extends BatchNorm {
  constructor(numFeatures: number, options: TrackedNormOptions = {}) {
    super('BatchNorm3d', [5], numFeatures, options, true);
  }
}

/** What {@link InstanceNorm1d}, {@link InstanceNorm2d} and {@link InstanceNorm3d} share. */
abstract class InstanceNorm extends TrackedNorm {
  forward(x: Tensor): Tensor {
    const input = this.readInput(x);
    const { runningMean, runningVar, affine, momentum } = this;
    if (runningMean === undefined) return instanceNorm(input, affine);
    if (!this.training) return batchNorm(input, { ...affine, runningMean, runningVar });
    // PyTorch does not count the batches either.
    return instanceNorm(input, { ...affine, runningMean, runningVar, momentum: momentum ?? undefined });
  }
}

/** {@link InstanceNorm2d} for (N, C, L). */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, options: TrackedNormOptions = {}) {
    super('InstanceNorm1d', [3], numFeatures, options, false);
  }
}

/**
 * `instanceNorm` of (N, C, H, W): mean and variance per picture and channel, in training and in evaluation; with
 * trackRunningStats evaluation goes by the running ones instead.
 *
 * @param numFeatures channels C
 * @param options `{ eps = 1e-5, momentum = 0.1, affine = false, trackRunningStats = false, dtype = 'float32' }`
 */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, options: TrackedNormOptions = {}) {
    super('InstanceNorm2d', [4], numFeatures, options, false);
  }
}

/** {@link InstanceNorm2d} for (N, C, D, H, W). */
export class InstanceNorm3d extends InstanceNorm {
  constructor(numFeatures: number, options: TrackedNormOptions = {}) {
    super('InstanceNorm3d', [5], numFeatures, options, false);
  }
}

/**
 * `groupNorm`: mean and variance per picture and group of channels.
 *
 * @param numGroups divides numChannels
 * @param numChannels channels C of (N, C, …)
 * @param options `{ eps = 1e-5, affine = true, dtype = 'float32' }`
 */
export class GroupNorm extends AffineLayer {
  readonly numGroups: number;
  readonly numChannels: number;

  constructor(numGroups: number, numChannels: number, options: NormLayerOptions = {}) {
    const type = 'GroupNorm';
    checkOptions(type, options, ['eps', 'affine', 'dtype']);
    const groups = readCount(type, 'numGroups', numGroups);
    const channels = readCount(type, 'numChannels', numChannels);
    if (channels % groups !== 0)
      refuse(type, 'numGroups', `numGroups ${groups} must divide numChannels ${channels}`);
    super(type, [channels], options, true);
    this.numGroups = groups;
    this.numChannels = channels;
  }

  forward(x: Tensor): Tensor {
    const input = asFloat(this.type, 'input', x);
    if (input.shape[1] !== this.numChannels) {
      refuse(this.type, 'input', `input must be (N, ${this.numChannels}, …), got ${showShape(input.shape)}`);
    }
    return groupNorm(input, this.numGroups, this.affine);
  }
}

/**
 * `layerNorm`: mean and variance over the last axes.
 *
 * @param normalizedShape lengths of the last axes, over which to normalise; a number: of the last alone
 * @param options `{ eps = 1e-5, affine = true, dtype = 'float32' }`; weight and bias have that shape
 */
export class LayerNorm extends AffineLayer {
  readonly normalizedShape: Shape;

  constructor(normalizedShape: number | Shape, options: NormLayerOptions = {}) {
    const type = 'LayerNorm';
    checkOptions(type, options, ['eps', 'affine', 'dtype']);
    const shape = checkShape(type, 'normalizedShape', [normalizedShape].flat());
    if (shape.length === 0 || shape.includes(0))
      refuse(type, 'normalizedShape', `normalizedShape must have axes ≥ 1, got ${showShape(shape)}`);
    super(type, shape, options, true);
    this.normalizedShape = shape;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.normalizedShape, this.affine);
  }
}
