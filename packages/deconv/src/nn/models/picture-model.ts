/**
 * picture-model: what the ready networks of this folder have in common. Each takes RGB pictures (N, 3, H, W) with values in
 * 0 … 1 and of any size, knows the options it was made with, and how to be used when training is over.
 *
 * Their convolutions are made with open input channels: a fresh network gets its weights by one call on a small picture,
 * a loaded one from its file. So a file that promises more than it holds makes nothing.
 *
 * Refuses what is no batch of RGB pictures.
 */
import { noGrad } from '../../autograd.js';
import { refuse, show } from '../../errors.js';
import { clamp, mul, sub } from '../../ops/elementwise.js';
import { asFloat } from '../../ops/input.js';
import { pad, slice } from '../../ops/layout.js';
import { showShape } from '../../shape.js';
import { scoped, type Tensor } from '../../tensor.js';
import { Conv2d, type ConvLayerOptions, ConvTranspose2d, type ConvTransposeLayerOptions } from '../conv.js';
import * as init from '../init.js';
import { Layer } from '../module.js';
import { readCount, type SeedOption } from '../options.js';
import { layerSeed } from '../seed.js';

/** What a model is for. */
export type Task = 'upscale' | 'denoise' | 'autoencode' | 'segment';

/** Options of a model, complete: enough to make another like it. */
export type ModelOptions = Readonly<Record<string, number | string>>;

/** What networks compute with: (x − mean)·factor, so that most of a picture lies within ±2. */
export const NORMALISATION = Object.freeze({ mean: 0.5, factor: 4 });

/** The most channels, and the most blocks or levels, that a model is made with. */
const MOST = { channels: 4096, count: 256 } as const;

/** Channels of a layer. */
export function readChannels(op: string, value: unknown, argument = 'channels'): number {
  const channels = readCount(op, argument, value);
  if (channels <= MOST.channels) return channels;
  return refuse(op, argument, `${argument} must be at most ${MOST.channels}, got ${show(value)}`);
}

/** How often something is repeated. */
export function readRepeats(
  op: string,
  argument: string,
  value: unknown,
  least = 1,
  most: number = MOST.count,
): number {
  const count = readCount(op, argument, value, least);
  if (count <= most) return count;
  return refuse(op, argument, `${argument} must be at most ${most}, got ${show(value)}`);
}

/** A 3 × 3 convolution that keeps the size. */
export function conv(outChannels: number, seed: number, options: Partial<ConvLayerOptions> = {}): Conv2d {
  return new Conv2d(undefined, outChannels, { kernelSize: 3, padding: 1, seed, ...options });
}

/** A transposed convolution that makes pictures `stride` times as large, from kernels of `taps` strides: k = taps·s. */
export function grow(
  outChannels: number,
  stride: number,
  seed: number,
  { taps = 2, ...options }: Partial<ConvTransposeLayerOptions> & { readonly taps?: number } = {},
): ConvTranspose2d {
  // (n − 1)s + k − 2·pad + op = n·s with pad = ⌈(k − s)/2⌉ and op = 2·pad − (k − s).
  const rest = (taps - 1) * stride;
  const padding = Math.ceil(rest / 2);
  return new ConvTranspose2d(undefined, outChannels, {
    kernelSize: taps * stride,
    stride,
    padding,
    outputPadding: 2 * padding - rest,
    seed,
    ...options,
  });
}

/** The picture as networks like it. */
export const normalised = (x: Tensor): Tensor =>
  scoped(() => mul(sub(x, NORMALISATION.mean), NORMALISATION.factor));

/** A network from pictures to pictures, or to classes of their pixels. */
export abstract class PictureModel extends Layer {
  /** What it is for. */
  readonly task: Task;
  /** The options it was made with, defaults included. */
  readonly options: ModelOptions;
  /** Anything worth keeping with the model that JSON can hold: names of the classes, what it was trained on. */
  notes: Readonly<Record<string, unknown>> = {};
  /** Pixels of the output per pixel of the input, along each axis. */
  readonly scale: number = 1;
  /** Inside, height and width are brought to a multiple of this, by repeating the last row and column. */
  readonly multiple: number = 1;
  /**
   * How far to each side an output can see, in pixels of the input: a part of a picture, cut at multiples of `multiple`
   * with that much around it, gives the same as the whole.
   */
  abstract readonly reach: number;

  /** The next seed of this model: its layers, and what starts them, each take one. */
  readonly #seeds: { next: number };

  /** @internal */
  protected constructor(type: string, task: Task, options: ModelOptions, seed: SeedOption) {
    super(type);
    this.task = task;
    this.options = Object.freeze(options);
    this.#seeds = { next: layerSeed(type, seed) };
  }

  /** A seed of its own for each layer, all of them from that of the model. */
  protected seed(): number {
    return this.#seeds.next++;
  }

  /** (N, 3, H, W) → (N, channels, H·scale, W·scale); H and W are multiples of `multiple`. */
  protected abstract compute(x: Tensor): Tensor;

  /** Starts what starts other than by default; the weights are there. */
  protected initialise(): void {}

  /** (N, 3, H, W) in 0 … 1 → what the loss compares: a picture, not held to 0 … 1, or class scores (N, classes, H, W). */
  forward(x: Tensor): Tensor {
    const input = asFloat(this.type, 'input', x);
    const { rank, shape } = input;
    if (rank !== 4 || shape[1] !== 3 || shape[2] < 1 || shape[3] < 1) {
      refuse(
        this.type,
        'input',
        `input must be RGB pictures (N, 3, H, W), got ${showShape(shape)}`,
        'values between 0 and 1',
      );
    }
    const [height, width] = shape.slice(2);
    const [below, right] = [height, width].map((n) => (this.multiple - (n % this.multiple)) % this.multiple);
    if (below === 0 && right === 0) return this.compute(input);
    return scoped(() => {
      const whole = pad(
        input,
        [
          [0, below],
          [0, right],
        ],
        { mode: 'replicate' },
      );
      const end = [undefined, undefined, height * this.scale, width * this.scale];
      return slice(this.compute(whole), { end });
    });
  }

  /**
   * The model in use: nothing is recorded, and the result is held to 0 … 1.
   *
   * @param x (N, 3, H, W), values in 0 … 1, any H and W
   * @returns (N, 3, H·scale, W·scale) in 0 … 1; of a segmenter the class of each pixel, int32 (N, H, W)
   */
  apply(x: Tensor): Tensor {
    const modes = this.modules().map((module) => [module, module.training] as const);
    this.eval();
    try {
      return noGrad(() => scoped(() => this.finish(this.forward(x))));
    } finally {
      for (const [module, training] of modes) module.training = training;
    }
  }

  /** From what {@link forward} gives to what is looked at. */
  protected finish(y: Tensor): Tensor {
    return clamp(y, { min: 0, max: 1 });
  }

  /** @internal Makes the weights of a fresh model. */
  begin(): this {
    const side = 2 * this.multiple;
    this.build([1, 3, side, side]);
    this.initialise();
    return this;
  }

  /** Starts convolutions for rectifiers (He et al. 2015, arXiv:1502.01852), without bias. */
  protected rectify(): void {
    for (const module of this.modules()) {
      if (!(module instanceof Conv2d)) continue;
      init.kaimingNormal(module.weight, { seed: this.seed() });
      if (module.bias !== undefined) init.zeros(module.bias);
    }
  }
}
