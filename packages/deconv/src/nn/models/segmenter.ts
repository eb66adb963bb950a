/**
 * segmenter: a class for each pixel. A small U-Net (Ronneberger et al. 2015, arXiv:1505.04597) on half the height and width,
 * where a convolution of stride 2 brings the picture: each level on the way down is two convolutions, each normalised over the batch, and a pooling, each on
 * the way up a transposed convolution that doubles height and width, laid beside what the same level saw on the way down, and
 * two convolutions. One more transposed convolution brings the scores to the size of the picture, as in FCN (Long et al.
 * 2015, arXiv:1411.4038); all of them start as bilinear interpolation of each channel.
 */
import { checkOptions, refuse } from '../../errors.js';
import { concat } from '../../ops/layout.js';
import { argMax } from '../../ops/reduce.js';
import { scoped, type Tensor } from '../../tensor.js';
import { ReLU } from '../activations.js';
import { Sequential } from '../containers.js';
import type { Conv2d, ConvTranspose2d } from '../conv.js';
import * as init from '../init.js';
import { BatchNorm2d } from '../norm.js';
import type { SeedOption } from '../options.js';
import { MaxPool2d } from '../pool.js';
import { conv, grow, normalised, PictureModel, readChannels, readRepeats } from './picture-model.js';

/** Options of {@link segmenter}. */
export interface SegmenterOptions extends SeedOption {
  /** How many classes there are, background included, 2 … 256. Required. */
  readonly classes: number;
  /** Feature maps of the first level; each further one has twice as many. Default 24. */
  readonly channels?: number | undefined;
  /** How often half the height and width are halved again, 1 … 5. Default 3. */
  readonly levels?: number | undefined;
}

const OP = 'segmenter';

/** A network that says what each pixel shows. Made by {@link segmenter}. */
export class Segmenter extends PictureModel {
  override readonly multiple: number;
  readonly reach: number;
  /** How many classes it tells apart. */
  readonly classes: number;
  readonly stem: Conv2d;
  readonly down: readonly Sequential[];
  readonly pool = new MaxPool2d({ kernelSize: 2 });
  readonly up: readonly ConvTranspose2d[];
  readonly merge: readonly Sequential[];
  readonly head: Conv2d;
  readonly last: ConvTranspose2d;

  /** @internal */
  constructor(options: SegmenterOptions) {
    checkOptions(OP, options, ['classes', 'channels', 'levels', 'seed']);
    if (options?.classes === undefined)
      refuse(OP, 'classes', 'classes is required', 'background is one of them');
    const classes = readRepeats(OP, 'classes', options.classes, 2);
    const channels = readChannels(OP, options.channels ?? 24);
    const levels = readRepeats(OP, 'levels', options.levels ?? 3, 1, 5);
    super('Segmenter', 'segment', { classes, channels, levels }, options);
    this.classes = classes;
    this.multiple = 2 ** (levels + 1);
    const width = (level: number) => readChannels(OP, channels * 2 ** level);
    // Without a bias: what is added before a normalisation is taken off by it.
    const once = (level: number) => [
      conv(width(level), this.seed(), { bias: false }),
      new BatchNorm2d(width(level)),
      new ReLU(),
    ];
    const twice = (level: number) => new Sequential(...once(level), ...once(level));
    this.stem = conv(channels, this.seed(), { kernelSize: 4, stride: 2, activation: 'relu' });
    this.down = Array.from({ length: levels + 1 }, (_, level) => twice(level));
    // The deepest first, as they are called.
    const upwards = Array.from({ length: levels }, (_, i) => levels - 1 - i);
    this.up = upwards.map((level) => grow(width(level), 2, this.seed()));
    this.merge = upwards.map(twice);
    this.head = conv(classes, this.seed(), { kernelSize: 1, padding: 0 });
    this.last = grow(classes, 2, this.seed());
    // Pixels of a level are 2^(level + 1) wide: two convolutions down and two up see 4 of them, growing 2 of the next; the
    // deepest sees 2, stem and last layer 2 pixels each.
    const steps = Array.from({ length: levels }, (_, level) => 2 ** (level + 1) * (4 + 2 * 2));
    this.reach = steps.reduce((a, b) => a + b, 0) + 2 * this.multiple + 4;
  }

  protected override initialise(): void {
    this.rectify();
    for (const layer of [...this.up, this.last]) {
      // Where there are twice as many channels as go on, the others add nothing yet.
      init.bilinear(layer.weight);
      if (layer.bias !== undefined) init.zeros(layer.bias);
    }
  }

  protected override compute(x: Tensor): Tensor {
    return scoped(() => {
      const { down, up, merge, pool } = this;
      const seen = [down[0].forward(this.stem.forward(normalised(x)))];
      for (const level of down.slice(1)) seen.push(level.forward(pool.forward(seen[seen.length - 1])));
      let h = seen.pop() as Tensor;
      for (const [i, layer] of up.entries()) {
        h = merge[i].forward(concat([seen[seen.length - 1 - i], layer.forward(h)], 1));
      }
      return this.last.forward(this.head.forward(h));
    });
  }

  protected override finish(y: Tensor): Tensor {
    return argMax(y, 1);
  }
}

/**
 * A network that gives each pixel of RGB pictures of any size a class.
 *
 * @param options `{ classes, channels = 24, levels = 3, seed }`
 * @returns a module: (N, 3, H, W) in 0 … 1 → scores (N, classes, H, W), for `crossEntropy`; `apply` gives the classes
 * @throws DeconvError for options out of range, unknown ones
 * @example
 * ```ts
 * import { rand } from 'deconv';
 * import { segmenter } from 'deconv/nn';
 * const model = segmenter({ classes: 5, channels: 4, levels: 2 });
 * const x = rand([1, 3, 30, 22]);
 * console.log(model.forward(x).shape, model.apply(x).shape); // [ 1, 5, 30, 22 ] [ 1, 30, 22 ]
 * ```
 */
export function segmenter(options: SegmenterOptions): Segmenter {
  return new Segmenter(options).begin();
}
