/**
 * autoencoder: pictures through a narrow place and back. Each level halves height and width, by a convolution of stride 2 or
 * by max pooling, and each level of the way back doubles them, by a transposed convolution of stride 2, or by unpooling at
 * the switches of the pooling and a transposed convolution of stride 1 (Zeiler et al. 2011; Noh et al. 2015,
 * arXiv:1505.04366):
 *
 *     stride:  conv k4 s2, relu      …  code  …  convTranspose k4 s2, relu
 *     pool:    conv k3, relu, pool 2 …  code  …  unpool 2, convTranspose k3, relu
 *
 * With pooling the switches pass around the code: what comes back is sharper, but the code alone does not hold it.
 *
 * Beside both halves there is a *linear* path, one convolution over whole blocks of 2^levels pixels and its transpose: what a
 * linear code holds (the best of these is that of principal components) is there from the start, and the levels learn what
 * lies beyond.
 */
import { noGrad } from '../../autograd.js';
import { checkName, checkOptions, refuse } from '../../errors.js';
import { add, mul } from '../../ops/elementwise.js';
import { scoped, type Tensor } from '../../tensor.js';
import { ReLU } from '../activations.js';
import { Sequential } from '../containers.js';
import { Conv2d, ConvTranspose2d } from '../conv.js';
import * as init from '../init.js';
import type { AnyModule, Module } from '../module.js';
import type { SeedOption } from '../options.js';
import { MaxPool2d, MaxUnpool2d } from '../pool.js';
import {
  conv,
  grow,
  NORMALISATION,
  normalised,
  PictureModel,
  readChannels,
  readRepeats,
} from './picture-model.js';

/** Options of {@link autoencoder}. */
export interface AutoencoderOptions extends SeedOption {
  /** Feature maps of the first level; each further one has twice as many, at most 8 times. Default 32. */
  readonly channels?: number | undefined;
  /** How often height and width are halved, 1 … 6. Default 3. */
  readonly levels?: number | undefined;
  /** Channels of the code. Default 16. */
  readonly code?: number | undefined;
  /** How they are halved. Default `'stride'`. */
  readonly down?: 'stride' | 'pool' | undefined;
}

const OP = 'autoencoder';
/** By how much the last layers of both halves start smaller than others. */
const START = 0.1;

/** A network that packs pictures and unpacks them. Made by {@link autoencoder}. */
export class Autoencoder extends PictureModel {
  override readonly multiple: number;
  readonly reach: number;
  readonly encoder: Sequential;
  readonly decoder: Sequential;
  /** The linear path: blocks of 2^levels × 2^levels pixels to the code's numbers. */
  readonly pack: Conv2d;
  /** And back. */
  readonly unpack: ConvTranspose2d;

  /** @internal */
  constructor(options: AutoencoderOptions) {
    checkOptions(OP, options, ['channels', 'levels', 'code', 'down', 'seed']);
    const channels = readChannels(OP, options.channels ?? 32);
    const levels = readRepeats(OP, 'levels', options.levels ?? 3, 1, 6);
    const code = readChannels(OP, options.code ?? 16, 'code');
    const { down = 'stride' } = options;
    checkName(OP, 'down', down, ['stride', 'pool']);
    super('Autoencoder', 'autoencode', { channels, levels, code, down }, options);
    this.multiple = 2 ** levels;
    const there: Module[] = [];
    const back: Module[] = [];
    const width = (level: number) => readChannels(OP, channels * Math.min(8, 2 ** level));
    for (let level = 0; level < levels; level++) {
      if (down === 'stride') {
        there.push(conv(width(level), this.seed(), { kernelSize: 4, stride: 2 }), new ReLU());
        back.unshift(grow(level === 0 ? channels : width(level - 1), 2, this.seed()), new ReLU());
        continue;
      }
      const pool = new MaxPool2d({ kernelSize: 2 });
      there.push(conv(width(level), this.seed()), new ReLU(), pool);
      back.unshift(
        new MaxUnpool2d(pool),
        grow(level === 0 ? channels : width(level - 1), 1, this.seed(), { taps: 3 }),
        new ReLU(),
      );
    }
    this.encoder = new Sequential(...there, conv(code, this.seed()));
    this.decoder = new Sequential(
      conv(width(levels - 1), this.seed()),
      new ReLU(),
      ...back,
      conv(3, this.seed()),
    );
    const blocks = { kernelSize: this.multiple, stride: this.multiple, bias: false };
    this.pack = new Conv2d(3, code, { ...blocks, seed: this.seed() });
    this.unpack = new ConvTranspose2d(code, 3, { ...blocks, seed: this.seed() });
    // Of one level, in its own pixels: 2 each way with stride, 1 with pooling; the code and what reads it see 2 more, the
    // last layer 1.
    const steps = Array.from({ length: levels }, (_, level) => 2 ** level * 4);
    this.reach = steps.reduce((a, b) => a + b, 0) + 2 * this.multiple + 1;
  }

  protected override initialise(): void {
    this.rectify();
    for (const module of this.decoder as Iterable<AnyModule>) {
      if (!(module instanceof ConvTranspose2d)) continue;
      // With stride 2 an output meets a quarter of the taps.
      init.kaimingNormal(module.weight, { transposed: true, seed: this.seed() });
      if (module.bias !== undefined) init.zeros(module.bias);
    }
    // To begin with the two halves of the linear path undo each other as far as the code allows, and the levels add little.
    init.orthogonal(this.pack.weight, { seed: this.seed() });
    const set = (weight: Tensor, from: Tensor, factor: number) =>
      noGrad(() => scoped(() => weight.assign(mul(from, factor))));
    set(this.unpack.weight, this.pack.weight, 1 / NORMALISATION.factor);
    for (const half of [this.encoder, this.decoder]) {
      const last = half.at(-1);
      if (last instanceof Conv2d) set(last.weight, last.weight, START);
    }
  }

  /** (N, 3, H, W) → the code (N, code, H/2^levels, W/2^levels). Refuses sizes that do not divide. */
  encode(x: Tensor): Tensor {
    const [height, width] = x.shape.slice(2);
    if (height % this.multiple !== 0 || width % this.multiple !== 0) {
      refuse(
        'Autoencoder.encode',
        'x',
        `height ${height} and width ${width} must be multiples of 2^levels = ${this.multiple}`,
      );
    }
    return scoped(() => {
      const given = normalised(x);
      return add(this.encoder.forward(given), this.pack.forward(given));
    });
  }

  /**
   * The code → (N, 3, H, W). Where levels were pooled, the switches are those of the last {@link encode}.
   */
  decode(code: Tensor): Tensor {
    return scoped(() => {
      const parts = add(this.decoder.forward(code), this.unpack.forward(code));
      return add(parts, NORMALISATION.mean);
    });
  }

  protected override compute(x: Tensor): Tensor {
    return scoped(() => this.decode(this.encode(x)));
  }
}

/**
 * A network that packs RGB pictures of any size into a few numbers and unpacks them.
 *
 * @param options `{ channels = 32, levels = 3, code = 16, down = 'stride', seed }`
 * @returns a module: (N, 3, H, W) in 0 … 1 → the same shape; `encode` and `decode` are its halves
 * @throws DeconvError for options out of range, unknown ones
 * @example
 * ```ts
 * import { rand } from 'deconv';
 * import { autoencoder } from 'deconv/nn';
 * const model = autoencoder({ channels: 8, levels: 2, code: 4 });
 * const x = rand([1, 3, 32, 32]);
 * console.log(model.encode(x).shape, model.forward(x).shape); // [ 1, 4, 8, 8 ] [ 1, 3, 32, 32 ]
 * ```
 */
export function autoencoder(options: AutoencoderOptions = {}): Autoencoder {
  return new Autoencoder(options).begin();
}
