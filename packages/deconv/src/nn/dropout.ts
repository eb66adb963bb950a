/**
 * dropout: values left out at random in training. The mask of call number n is drawn from a stream of its own, made of
 * the layer's seed and n: what one layer draws is the same whatever the others do, and a run that was stopped goes on
 * with the same masks once `calls` is set again.
 */
import { checkOptions, refuse, show } from '../errors.js';
import { randomStream } from '../ops/create.js';
import { mul } from '../ops/elementwise.js';
import { asFloat } from '../ops/input.js';
import type { Tensor } from '../tensor.js';
import { drawn } from './draw.js';
import { Layer } from './module.js';
import { readCount, type SeedOption } from './options.js';
import { layerSeed } from './seed.js';

/** What the dropout layers share: which values stand and fall together. */
abstract class AnyDropout extends Layer {
  readonly p: number;
  readonly #seed: number;
  readonly #channels: boolean;
  #calls = 0;

  protected constructor(type: string, p: number, options: SeedOption, channels: boolean) {
    super(type);
    checkOptions(type, options, ['seed']);
    if (!(typeof p === 'number' && p >= 0 && p < 1))
      refuse(type, 'p', `p must be a number in [0, 1), got ${show(p)}`);
    this.p = p;
    this.#seed = layerSeed(type, options);
    this.#channels = channels;
  }

  /** Masks drawn so far. Set it to go on where another run stopped. */
  get calls(): number {
    return this.#calls;
  }

  set calls(calls: number) {
    this.#calls = readCount(this.type, 'calls', calls, 0);
  }

  forward(x: Tensor): Tensor {
    const input = asFloat(this.type, 'input', x);
    if (!this.training || this.p === 0) return x;
    const shape = input.shape.map((length, axis) => (this.#channels && axis >= 2 ? 1 : length));
    // Two steps, so that neighbouring seeds and calls lead to streams that have nothing to do with each other.
    const next = randomStream(Math.floor(randomStream(this.#seed)() * 2 ** 32) ^ this.#calls++);
    // What stays is scaled up, so that the expectation is that of evaluation.
    const kept = 1 / (1 - this.p);
    return mul(
      input,
      drawn(shape, input.dtype, () => (next() < this.p ? 0 : kept)),
    );
  }
}

/**
 * In training each value is 0 with probability p, the others are multiplied by 1/(1 − p): Srivastava et al. 2014. In
 * evaluation nothing happens.
 *
 * @param p in [0, 1). Default 0.5
 * @param options `{ seed }`
 * @example
 * ```ts
 * import { ones, sum } from 'deconv';
 * import { Dropout } from 'deconv/nn';
 * const layer = new Dropout(0.25, { seed: 1 });
 * const share = sum(layer.forward(ones([10000]))).item() / 10000;
 * console.log(Math.abs(share - 1) < 0.02); // true
 * console.log(layer.eval().forward(ones([2])).toArray()); // [ 1, 1 ]
 * ```
 */
export class Dropout extends AnyDropout {
  constructor(p = 0.5, options: SeedOption = {}) {
    super('Dropout', p, options, false);
  }
}

/** {@link Dropout} of whole channels of (N, C, …), for pictures, whose neighbouring values say the same: Tompson et al. 2015, arXiv:1411.4280. */
export class ChannelDropout extends AnyDropout {
  constructor(p = 0.5, options: SeedOption = {}) {
    super('ChannelDropout', p, options, true);
  }
}
