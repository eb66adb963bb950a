/**
 * denoiser: noise taken off pictures. A residual network says what is noise, and subtracts it: y = x + grow(blocks(head(x))),
 * as DnCNN does (Zhang et al. 2017, arXiv:1608.03981). The head is a convolution of stride 2 and the tail a transposed one,
 * so that the network works on half the height and width: four times as fast, and it sees twice as far (as in FFDNet,
 * arXiv:1710.04026). The tail starts as zero: a fresh denoiser changes nothing.
 */
import { checkOptions } from '../../errors.js';
import { add } from '../../ops/elementwise.js';
import { scoped, type Tensor } from '../../tensor.js';
import { ReLU } from '../activations.js';
import { Sequential } from '../containers.js';
import type { Conv2d, ConvTranspose2d } from '../conv.js';
import * as init from '../init.js';
import type { SeedOption } from '../options.js';
import { conv, grow, normalised, PictureModel, readChannels, readRepeats } from './picture-model.js';

/** Options of {@link denoiser}. */
export interface DenoiserOptions extends SeedOption {
  /** Feature maps. Default 48. */
  readonly channels?: number | undefined;
  /** Residual blocks of two convolutions each. Default 4. */
  readonly blocks?: number | undefined;
}

const OP = 'denoiser';

/** A network that takes noise off pictures. Made by {@link denoiser}. */
export class Denoiser extends PictureModel {
  override readonly multiple = 2;
  readonly reach: number;
  readonly head: Conv2d;
  readonly blocks: readonly Sequential[];
  readonly tail: ConvTranspose2d;

  /** @internal */
  constructor(options: DenoiserOptions) {
    checkOptions(OP, options, ['channels', 'blocks', 'seed']);
    const channels = readChannels(OP, options.channels ?? 48);
    const blocks = readRepeats(OP, 'blocks', options.blocks ?? 4);
    super('Denoiser', 'denoise', { channels, blocks }, options);
    // Half-size pixels: 2 per block, 1 of the tail; then one pixel beside the two of the last.
    this.reach = 2 * (2 * blocks + 1) + 2;
    this.head = conv(channels, this.seed(), { kernelSize: 4, stride: 2 });
    this.blocks = Array.from(
      { length: blocks },
      () => new Sequential(conv(channels, this.seed()), new ReLU(), conv(channels, this.seed())),
    );
    this.tail = grow(3, 2, this.seed());
  }

  protected override initialise(): void {
    init.zeros(this.tail.weight);
    if (this.tail.bias !== undefined) init.zeros(this.tail.bias);
  }

  protected override compute(x: Tensor): Tensor {
    return scoped(() => {
      let h = this.head.forward(normalised(x));
      for (const block of this.blocks) h = add(h, block.forward(h));
      return add(x, this.tail.forward(h));
    });
  }
}

/**
 * A network that takes noise off RGB pictures of any size. Fresh, it changes nothing.
 *
 * @param options `{ channels = 48, blocks = 4, seed }`
 * @returns a module: (N, 3, H, W) in 0 … 1 → the same shape
 * @throws DeconvError for options out of range, unknown ones
 * @example
 * ```ts
 * import { rand } from 'deconv';
 * import { denoiser } from 'deconv/nn';
 * console.log(denoiser({ channels: 8, blocks: 1 }).forward(rand([1, 3, 9, 7])).shape); // [ 1, 3, 9, 7 ]
 * ```
 */
export function denoiser(options: DenoiserOptions = {}): Denoiser {
  return new Denoiser(options).begin();
}
