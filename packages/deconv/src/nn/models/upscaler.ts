/**
 * upscaler: pictures made larger. A residual network works on the small picture; what it finds is put on the large one by a
 * transposed convolution and added to bicubic interpolation:
 *
 *     y = bicubic(x) + grow(h),  h = blocks(head(x)),  block(h) = h + conv(relu(conv(h)))
 *
 * This is EDSR without its extras (Lim et al. 2017, arXiv:1707.02921), with the residual taken over interpolation as in
 * VDSR (Kim et al. 2016, arXiv:1511.04587). The last layer starts as zero, so that a fresh upscaler *is* bicubic
 * interpolation, without a checkerboard, and can only get better.
 */
import { checkOptions } from '../../errors.js';
import { add } from '../../ops/elementwise.js';
import { upsample } from '../../ops/upsample.js';
import { scoped, type Tensor } from '../../tensor.js';
import { ReLU } from '../activations.js';
import { Sequential } from '../containers.js';
import type { Conv2d, ConvTranspose2d } from '../conv.js';
import * as init from '../init.js';
import type { SeedOption } from '../options.js';
import { conv, grow, normalised, PictureModel, readChannels, readRepeats } from './picture-model.js';

/** Options of {@link upscaler}. */
export interface UpscalerOptions extends SeedOption {
  /** How many times as large. Integer, 2 … 8. Default 2. */
  readonly scale?: number | undefined;
  /** Feature maps. Default 32. */
  readonly channels?: number | undefined;
  /** Residual blocks of two convolutions each. Default 4. */
  readonly blocks?: number | undefined;
}

const OP = 'upscaler';

/** A network that enlarges pictures. Made by {@link upscaler}. */
export class Upscaler extends PictureModel {
  override readonly scale: number;
  readonly reach: number;
  readonly head: Conv2d;
  readonly blocks: readonly Sequential[];
  readonly tail: ConvTranspose2d;

  /** @internal */
  constructor(options: UpscalerOptions) {
    checkOptions(OP, options, ['scale', 'channels', 'blocks', 'seed']);
    const scale = readRepeats(OP, 'scale', options.scale ?? 2, 2, 8);
    const channels = readChannels(OP, options.channels ?? 32);
    const blocks = readRepeats(OP, 'blocks', options.blocks ?? 4);
    super('Upscaler', 'upscale', { scale, channels, blocks }, options);
    this.scale = scale;
    // Each 3 × 3 sees one pixel further; so does the tail, of kernelSize 3·scale. Bicubic, by itself, sees 2.
    this.reach = 2 * blocks + 2;
    this.head = conv(channels, this.seed());
    this.blocks = Array.from(
      { length: blocks },
      () => new Sequential(conv(channels, this.seed()), new ReLU(), conv(channels, this.seed())),
    );
    this.tail = grow(3, scale, this.seed(), { taps: 3 });
  }

  protected override initialise(): void {
    init.zeros(this.tail.weight);
    if (this.tail.bias !== undefined) init.zeros(this.tail.bias);
  }

  protected override compute(x: Tensor): Tensor {
    return scoped(() => {
      let h = this.head.forward(normalised(x));
      for (const block of this.blocks) h = add(h, block.forward(h));
      return add(upsample(x, { scaleFactor: this.scale, mode: 'cubic' }), this.tail.forward(h));
    });
  }
}

/**
 * A network that enlarges RGB pictures of any size. Fresh, it is bicubic interpolation; trained on small and large
 * versions of the same pictures it draws sharper.
 *
 * @param options `{ scale = 2, channels = 32, blocks = 4, seed }`
 * @returns a module: (N, 3, H, W) in 0 … 1 → (N, 3, H·scale, W·scale)
 * @throws DeconvError for options out of range, unknown ones
 * @example
 * ```ts
 * import { allClose, rand, upsample } from 'deconv';
 * import { upscaler } from 'deconv/nn';
 * const model = upscaler({ scale: 3, channels: 8, blocks: 1 });
 * const x = rand([1, 3, 10, 7]);
 * console.log(model.forward(x).shape); // [ 1, 3, 30, 21 ]
 * console.log(allClose(model.forward(x), upsample(x, { scaleFactor: 3, mode: 'cubic' }))); // true
 * ```
 */
export function upscaler(options: UpscalerOptions = {}): Upscaler {
  return new Upscaler(options).begin();
}
