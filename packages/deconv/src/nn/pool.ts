/**
 * pool: pooling and unpooling as layers.
 *
 * Unpooling needs to know where the maxima were. Either the switches are handed on (`pool.withIndices(x)` and
 * `unpool.forward(y, indices)`), or an unpooling is made for one pooling (`new MaxUnpool2d(pool)`): it then goes by that
 * pooling's last call, and gives back the size of what was pooled. So an autoencoder or deconvnet can be a `Sequential`.
 */
import { checkOptions, refuse } from '../errors.js';
import type { WindowOptions } from '../geometry/window.js';
import {
  type AdaptiveSize,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  readAdaptiveSize,
} from '../ops/adaptive.js';
import {
  type AvgPoolOptions,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type MaxPoolResult,
  type MaxUnpoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
} from '../ops/window.js';
import { perAxis, type Shape } from '../shape.js';
import { type Tensor, unscoped } from '../tensor.js';
import { Layer } from './module.js';
import { readFlag } from './options.js';

const MAX_POOL = [maxPool1d, maxPool2d, maxPool3d] as const;
const MAX_UNPOOL = [maxUnpool1d, maxUnpool2d, maxUnpool3d] as const;
const AVG_POOL = [avgPool1d, avgPool2d, avgPool3d] as const;
const ADAPTIVE = [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d] as const;
const WINDOW = ['kernelSize', 'stride', 'padding', 'dilation', 'ceilMode'] as const;

/** Checks at the time of making what the operation would only refuse when called. */
function readWindow<T extends WindowOptions>(
  type: string,
  rank: number,
  options: T,
  more: readonly string[] = [],
): T {
  checkOptions(type, options, [...WINDOW, ...more]);
  if (options?.kernelSize === undefined) refuse(type, 'kernelSize', 'kernelSize is required');
  perAxis(type, 'kernelSize', options.kernelSize, rank, 1);
  perAxis(type, 'stride', options.stride ?? 1, rank, 1);
  perAxis(type, 'padding', options.padding ?? 0, rank, 0);
  perAxis(type, 'dilation', options.dilation ?? 1, rank, 1);
  readFlag(type, 'ceilMode', options.ceilMode ?? false);
  return Object.freeze({ ...options });
}

/** What a pooling remembers for the unpooling that belongs to it. */
interface Switches {
  readonly indices: Tensor;
  readonly inputShape: Shape;
}

/** What {@link MaxPool1d}, {@link MaxPool2d} and {@link MaxPool3d} share. */
export abstract class MaxPool extends Layer {
  /** @internal */
  readonly window: WindowOptions;
  /** @internal Number of spatial axes. */
  readonly rank: number;
  #remembers = false;
  #last: Switches | undefined;

  /** @internal */
  protected constructor(rank: number, options: WindowOptions) {
    super(`MaxPool${rank}d`);
    this.rank = rank;
    this.window = readWindow(this.type, rank, options);
  }

  forward(x: Tensor): Tensor {
    const { output, indices } = this.withIndices(x);
    indices.letGo();
    return output;
  }

  /** The maxima, and where they were: the switches of unpooling. */
  withIndices(x: Tensor): MaxPoolResult {
    const result = MAX_POOL[this.rank - 1](x, this.window);
    if (this.#remembers) {
      this.#last?.indices.letGo();
      this.#last = { indices: unscoped(() => result.indices.share()), inputShape: x.shape };
    }
    return result;
  }

  protected override preserve(): () => void {
    const last = this.#last;
    this.#last = undefined;
    return () => {
      this.#last?.indices.letGo();
      this.#last = last;
    };
  }

  /** @internal From now on the switches of the last call are kept. */
  remember(): void {
    this.#remembers = true;
  }

  /** @internal The switches of the last call. */
  get last(): Switches | undefined {
    return this.#last;
  }
}

/** {@link MaxPool2d} along one axis. */
export class MaxPool1d extends MaxPool {
  constructor(options: WindowOptions) {
    super(1, options);
  }
}

/**
 * `maxPool2d`: the maximum of each window.
 *
 * @param options kernelSize, stride (default kernelSize), padding, dilation, ceilMode
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { MaxPool2d, MaxUnpool2d, Sequential } from 'deconv/nn';
 * const pool = new MaxPool2d({ kernelSize: 2 });
 * const there = new Sequential(pool, new MaxUnpool2d(pool));
 * console.log(there.forward(tensor([[[[1, 2], [4, 3]]]])).data); // Float32Array(4) [ 0, 0, 4, 0 ]
 * ```
 */
export class MaxPool2d extends MaxPool {
  constructor(options: WindowOptions) {
    super(2, options);
  }
}

/** {@link MaxPool2d} over three axes. */
export class MaxPool3d extends MaxPool {
  constructor(options: WindowOptions) {
    super(3, options);
  }
}

/** What {@link MaxUnpool1d}, {@link MaxUnpool2d} and {@link MaxUnpool3d} share. */
abstract class MaxUnpool extends Layer {
  readonly #rank: number;
  readonly #options: MaxUnpoolOptions;
  readonly #pool: (() => Switches | undefined) | undefined;

  protected constructor(rank: number, of: MaxPool | Omit<MaxUnpoolOptions, 'outputSize'>) {
    super(`MaxUnpool${rank}d`);
    this.#rank = rank;
    if (of instanceof MaxPool) {
      if (of.rank !== rank)
        refuse(this.type, 'of', `the pooling must be a MaxPool${rank}d, got a ${of.type}`);
      const { kernelSize, stride, padding } = of.window;
      this.#options = { kernelSize, stride, padding };
      of.remember();
      // Not a property: the pooling is a child of whoever calls it, not of this layer.
      this.#pool = () => of.last;
      return;
    }
    checkOptions(this.type, of, ['kernelSize', 'stride', 'padding']);
    this.#options = readWindow(this.type, rank, of);
  }

  /**
   * @param x what a pooling gave, or something of its shape
   * @param indices its switches; may be left out where this layer was made for a pooling
   * @param like a tensor whose spatial size the result is to have; default: what was pooled, or as windows without
   *   overlap and rest would have it
   */
  forward(x: Tensor, indices?: Tensor, like?: Tensor): Tensor {
    const last = indices === undefined ? this.#pool?.() : undefined;
    const switches = indices ?? last?.indices;
    if (switches === undefined) {
      const rule = this.#pool ? 'its pooling was not called yet' : 'indices are required';
      refuse(this.type, 'indices', rule, 'new MaxUnpool(pool) takes them from the last call of pool');
    }
    const outputSize = (like?.shape ?? last?.inputShape)?.slice(2);
    return MAX_UNPOOL[this.#rank - 1](x, switches, { ...this.#options, outputSize });
  }
}

/** {@link MaxUnpool2d} along one axis. */
export class MaxUnpool1d extends MaxUnpool {
  constructor(of: MaxPool1d | Omit<MaxUnpoolOptions, 'outputSize'>) {
    super(1, of);
  }
}

/**
 * `maxUnpool2d`: puts values back to where a pooling found its maxima, zeros elsewhere.
 *
 * @param of the pooling to undo, whose last call says where; or the options of one, and `forward` is told where
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { MaxPool2d, MaxUnpool2d } from 'deconv/nn';
 * const x = tensor([[[[1, 2, 0], [4, 3, 0], [0, 0, 9]]]]);
 * const { output, indices } = new MaxPool2d({ kernelSize: 2 }).withIndices(x);
 * const unpool = new MaxUnpool2d({ kernelSize: 2 });
 * console.log(unpool.forward(output, indices, x).data.join()); // 0,0,0,4,0,0,0,0,0
 * ```
 */
export class MaxUnpool2d extends MaxUnpool {
  constructor(of: MaxPool2d | Omit<MaxUnpoolOptions, 'outputSize'>) {
    super(2, of);
  }
}

/** {@link MaxUnpool2d} over three axes. */
export class MaxUnpool3d extends MaxUnpool {
  constructor(of: MaxPool3d | Omit<MaxUnpoolOptions, 'outputSize'>) {
    super(3, of);
  }
}

/** What {@link AvgPool1d}, {@link AvgPool2d} and {@link AvgPool3d} share. */
abstract class AvgPool extends Layer {
  readonly #rank: number;
  readonly #options: AvgPoolOptions;

  protected constructor(rank: number, options: AvgPoolOptions) {
    super(`AvgPool${rank}d`);
    this.#rank = rank;
    this.#options = readWindow(this.type, rank, options, ['countIncludePad']);
    readFlag(this.type, 'countIncludePad', options.countIncludePad ?? true);
  }

  forward(x: Tensor): Tensor {
    return AVG_POOL[this.#rank - 1](x, this.#options);
  }
}

/** {@link AvgPool2d} along one axis. */
export class AvgPool1d extends AvgPool {
  constructor(options: AvgPoolOptions) {
    super(1, options);
  }
}

/** `avgPool2d`: the mean of each window. Options: kernelSize, stride, padding, dilation, ceilMode, countIncludePad. */
export class AvgPool2d extends AvgPool {
  constructor(options: AvgPoolOptions) {
    super(2, options);
  }
}

/** {@link AvgPool2d} over three axes. */
export class AvgPool3d extends AvgPool {
  constructor(options: AvgPoolOptions) {
    super(3, options);
  }
}

/** What {@link AdaptiveAvgPool1d}, {@link AdaptiveAvgPool2d} and {@link AdaptiveAvgPool3d} share. */
abstract class AdaptiveAvgPool extends Layer {
  readonly outputSize: AdaptiveSize;
  readonly #rank: number;

  protected constructor(rank: number, outputSize: AdaptiveSize) {
    super(`AdaptiveAvgPool${rank}d`);
    readAdaptiveSize(this.type, rank, outputSize);
    this.outputSize = outputSize;
    this.#rank = rank;
  }

  forward(x: Tensor): Tensor {
    return ADAPTIVE[this.#rank - 1](x, this.outputSize);
  }
}

/** {@link AdaptiveAvgPool2d} along one axis. */
export class AdaptiveAvgPool1d extends AdaptiveAvgPool {
  constructor(outputSize: AdaptiveSize) {
    super(1, outputSize);
  }
}

/**
 * `adaptiveAvgPool2d`: means of as many windows as the output is to have pixels.
 *
 * @param outputSize a number, or one per axis; null keeps an axis as it is
 */
export class AdaptiveAvgPool2d extends AdaptiveAvgPool {
  constructor(outputSize: AdaptiveSize) {
    super(2, outputSize);
  }
}

/** {@link AdaptiveAvgPool2d} over three axes. */
export class AdaptiveAvgPool3d extends AdaptiveAvgPool {
  constructor(outputSize: AdaptiveSize) {
    super(3, outputSize);
  }
}
