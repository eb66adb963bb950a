/**
 * conv: convolutions and transposed convolutions as layers: the operation of the same name with the weight and bias it
 * is applied with. Weights lie as PyTorch has them: (out, in/groups, …kernel), transposed (in, out/groups, …kernel).
 *
 * The number of input channels may be left open: the first input tells. Refuses options when the layer is made, not
 * when it is first called.
 */
import { checkName, checkOptions, refuse } from '../errors.js';
import { samePadConv } from '../geometry/axis.js';
import { type Pads, readPadding } from '../geometry/conv.js';
import { type ActivationOption, readActivation } from '../ops/activation.js';
import {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
} from '../ops/conv.js';
import { randomStream } from '../ops/create.js';
import { asFloat } from '../ops/input.js';
import { pad } from '../ops/layout.js';
import { type PerAxis, perAxis, showShape, sizeOf } from '../shape.js';
import type { DType, Tensor } from '../tensor.js';
import { drawnWithin, type RandomStream } from './draw.js';
import { Layer } from './module.js';
import { type DTypeOption, readCount, readFlag, readType, type SeedOption } from './options.js';
import { layerSeed } from './seed.js';

interface Common extends DTypeOption, SeedOption {
  /** Taps per axis. Required. */
  readonly kernelSize: PerAxis;
  /** Add one learned value per output channel. Default true. */
  readonly bias?: boolean | undefined;
}

/** Options of {@link Conv1d}, {@link Conv2d} and {@link Conv3d}: those of the operation, and what the layer needs. */
export interface ConvLayerOptions extends Common, Omit<ConvOptions, 'bias'> {
  /** What padding is made of: zeros, or the input itself, mirrored, repeated or wrapped. Default `'zeros'`. */
  readonly paddingMode?: 'zeros' | 'reflect' | 'replicate' | 'circular' | undefined;
}

/** Options of {@link ConvTranspose1d}, {@link ConvTranspose2d} and {@link ConvTranspose3d}. */
export interface ConvTransposeLayerOptions extends Common, Omit<ConvTransposeOptions, 'bias'> {}

const OPTIONS = ['kernelSize', 'stride', 'padding', 'dilation', 'groups', 'bias', 'dataFormat', 'activation', 'dtype', 'seed'] as const; // biome-ignore format: a word list
const CONV = [conv1d, conv2d, conv3d] as const;
const CONV_TRANSPOSE = [convTranspose1d, convTranspose2d, convTranspose3d] as const;

/** @internal What both kinds share: how weight and bias are made, checked and handed on. */
export abstract class AnyConv extends Layer {
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly groups: number;
  /** @internal What its options put at the end. */
  readonly activation: ActivationOption | undefined;
  readonly #rank: number;
  readonly #transposed: boolean;
  readonly #channelsLast: boolean;
  readonly #hasBias: boolean;
  readonly #dtype: DType;
  readonly #seed: number;

  protected constructor(
    type: string,
    rank: number,
    transposed: boolean,
    inChannels: number | undefined,
    outChannels: number,
    options: ConvLayerOptions | ConvTransposeLayerOptions,
  ) {
    super(type);
    this.outChannels = readCount(type, 'outChannels', outChannels);
    if (options.kernelSize === undefined) refuse(type, 'kernelSize', 'kernelSize is required');
    this.kernelSize = Object.freeze(perAxis(type, 'kernelSize', options.kernelSize, rank, 1));
    perAxis(type, 'stride', options.stride ?? 1, rank, 1);
    perAxis(type, 'dilation', options.dilation ?? 1, rank, 1);
    readPadding(type, options.padding, rank);
    readActivation(type, options.activation);
    this.activation = options.activation;
    checkName(type, 'dataFormat', options.dataFormat ?? 'NCHW', ['NCHW', 'NHWC']);
    this.groups = readCount(type, 'groups', options.groups ?? 1);
    if (this.outChannels % this.groups !== 0) {
      refuse(type, 'groups', `output channels ${this.outChannels} must divide by groups ${this.groups}`);
    }
    this.#rank = rank;
    this.#transposed = transposed;
    this.#channelsLast = options.dataFormat === 'NHWC';
    this.#hasBias = readFlag(type, 'bias', options.bias ?? true);
    this.#dtype = readType(type, options);
    this.#seed = layerSeed(type, options);
    const share = this.outChannels / this.groups;
    const open = transposed ? [undefined, share] : [this.outChannels, undefined];
    this.pending('weight', [...open, ...this.kernelSize], this.#dtype);
    if (this.#hasBias) this.pending('bias', [this.outChannels], this.#dtype);
    if (inChannels !== undefined) this.#make(readCount(type, 'inChannels', inChannels));
  }

  /** (out, in/groups, …kernel), or transposed (in, out/groups, …kernel). Refuses while the input channels are open. */
  get weight(): Tensor {
    return this.made('weight');
  }

  /** (out); undefined for a layer without one. */
  get bias(): Tensor | undefined {
    return this.#hasBias ? this.made('bias') : undefined;
  }

  /** Channels of the input; undefined while they are open. */
  get inChannels(): number | undefined {
    const weight = this.registered('weight');
    return weight && (this.#transposed ? weight.shape[0] : weight.shape[1] * this.groups);
  }

  #make(channels: number): void {
    if (channels % this.groups !== 0)
      refuse(this.type, 'groups', `input channels ${channels} must divide by groups ${this.groups}`);
    const [a, b] = this.#transposed
      ? [channels, this.outChannels / this.groups]
      : [this.outChannels, channels / this.groups];
    const next: RandomStream = randomStream(this.#seed);
    // PyTorch counts axis 1 as the inputs in both layouts.
    const fanIn = b * sizeOf(this.kernelSize);
    this.fillPending({
      weight: () => drawnWithin(next, [a, b, ...this.kernelSize], this.#dtype, fanIn),
      bias: () => drawnWithin(next, [this.outChannels], this.#dtype, fanIn),
    });
  }

  forward(x: Tensor): Tensor {
    return this.activated(x, this.activation);
  }

  /** @internal The layer with this function at its end, whatever its options say. */
  activated(x: Tensor, activation: ActivationOption | undefined): Tensor {
    const input = asFloat(this.type, 'input', x);
    if (this.hasPending) this.#make(this.inChannels ?? this.#channelsOf(input));
    return this.compute(input, activation);
  }

  #channelsOf({ rank, shape }: Tensor): number {
    const channels = shape[this.#channelsLast ? this.#rank + 1 : 1];
    if (rank === this.#rank + 2 && channels >= 1) return channels;
    const axes = this.#channelsLast ? '(batch, …space, channels)' : '(batch, channels, …space)';
    return refuse(
      this.type,
      'input',
      `input must be ${axes} of rank ${this.#rank + 2} with ≥ 1 channel, got ${showShape(shape)}`,
    );
  }

  protected abstract compute(x: Tensor, activation: ActivationOption | undefined): Tensor;

  protected override flops([input]: readonly Tensor[], output: Tensor): number {
    // Every element of the smaller side, the convolution's output, meets each tap of its channel's weights once.
    const { weight } = this;
    return 2 * (this.#transposed ? input.size : output.size) * (weight.size / weight.shape[0]);
  }
}

/** What {@link Conv1d}, {@link Conv2d} and {@link Conv3d} share. */
abstract class ConvLayer extends AnyConv {
  readonly #apply: (typeof CONV)[number];
  readonly #options: ConvOptions;
  readonly #paddingMode: 'reflect' | 'replicate' | 'circular' | undefined;
  readonly #pads: Pads;

  protected constructor(
    type: string,
    rank: number,
    inChannels: number | undefined,
    outChannels: number,
    options: ConvLayerOptions,
  ) {
    checkOptions(type, options, [...OPTIONS, 'paddingMode']);
    super(type, rank, false, inChannels, outChannels, options);
    const { kernelSize: _k, bias: _b, dtype: _t, seed: _s, paddingMode = 'zeros', ...rest } = options;
    checkName(type, 'paddingMode', paddingMode, ['zeros', 'reflect', 'replicate', 'circular']);
    this.#paddingMode = paddingMode === 'zeros' ? undefined : paddingMode;
    this.#pads = readPadding(type, options.padding, rank);
    this.#options = this.#paddingMode === undefined ? rest : { ...rest, padding: 0 };
    this.#apply = CONV[rank - 1];
  }

  protected override compute(x: Tensor, activation: ActivationOption | undefined): Tensor {
    const { weight, bias } = this;
    return this.#apply(this.#padded(x), weight, { ...this.#options, bias, activation });
  }

  #padded(x: Tensor): Tensor {
    const mode = this.#paddingMode;
    if (mode === undefined || x.rank !== this.kernelSize.length + 2) return x;
    const { stride = 1, dilation = 1, dataFormat } = this.#options;
    const first = dataFormat === 'NHWC' ? 1 : 2;
    const at = (value: PerAxis, axis: number) => (typeof value === 'number' ? value : value[axis]);
    const space = this.kernelSize.map((k, axis): [number, number] => {
      const n = x.shape[first + axis];
      const { before, after } =
        this.#pads === 'same' ? samePadConv(n, k, at(stride, axis), at(dilation, axis)) : this.#pads[axis];
      return [before, after];
    });
    const none: [number, number] = [0, 0];
    return pad(x, first === 1 ? [none, ...space, none] : [none, none, ...space], { mode });
  }
}

/** What {@link ConvTranspose1d}, {@link ConvTranspose2d} and {@link ConvTranspose3d} share. */
abstract class ConvTransposeLayer extends AnyConv {
  readonly #apply: (typeof CONV_TRANSPOSE)[number];
  readonly #options: ConvTransposeOptions;

  protected constructor(
    type: string,
    rank: number,
    inChannels: number | undefined,
    outChannels: number,
    options: ConvTransposeLayerOptions,
  ) {
    checkOptions(type, options, [...OPTIONS, 'outputPadding', 'outputShape', 'overlap']);
    super(type, rank, true, inChannels, outChannels, options);
    perAxis(type, 'outputPadding', options.outputPadding ?? 0, rank, 0);
    checkName(type, 'overlap', options.overlap ?? 'sum', ['sum', 'average']);
    const { kernelSize: _k, bias: _b, dtype: _t, seed: _s, ...rest } = options;
    this.#options = rest;
    this.#apply = CONV_TRANSPOSE[rank - 1];
  }

  protected override compute(x: Tensor, activation: ActivationOption | undefined): Tensor {
    const { weight, bias } = this;
    return this.#apply(x, weight, { ...this.#options, bias, activation });
  }
}

/** {@link Conv2d} along one axis: `conv1d` on (N, C, L). */
export class Conv1d extends ConvLayer {
  constructor(inChannels: number | undefined, outChannels: number, options: ConvLayerOptions) {
    super('Conv1d', 1, inChannels, outChannels, options);
  }
}

/**
 * `conv2d` with a weight (out, in/groups, kh, kw) and a bias (out), uniform within ±1/√(in/groups·kh·kw) at first.
 *
 * @param inChannels channels of the input; undefined: those of the first input
 * @param outChannels channels of the output
 * @param options kernelSize (required), stride, padding, dilation, groups, bias, activation, dataFormat, paddingMode,
 *   dtype, seed
 * @throws DeconvError for options that make no convolution, unknown ones, channels that do not divide by groups
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { Conv2d } from 'deconv/nn';
 * const conv = new Conv2d(undefined, 8, { kernelSize: 3, stride: 2, padding: 1, activation: 'relu' });
 * console.log(conv.forward(zeros([1, 3, 32, 32])).shape); // [ 1, 8, 16, 16 ]
 * console.log(conv.weight.shape); // [ 8, 3, 3, 3 ]
 * ```
 */
export class Conv2d extends ConvLayer {
  constructor(inChannels: number | undefined, outChannels: number, options: ConvLayerOptions) {
    super('Conv2d', 2, inChannels, outChannels, options);
  }
}

/** {@link Conv2d} over three axes: `conv3d` on (N, C, D, H, W). */
export class Conv3d extends ConvLayer {
  constructor(inChannels: number | undefined, outChannels: number, options: ConvLayerOptions) {
    super('Conv3d', 3, inChannels, outChannels, options);
  }
}

/** {@link ConvTranspose2d} along one axis: `convTranspose1d` on (N, C, L). */
export class ConvTranspose1d extends ConvTransposeLayer {
  constructor(inChannels: number | undefined, outChannels: number, options: ConvTransposeLayerOptions) {
    super('ConvTranspose1d', 1, inChannels, outChannels, options);
  }
}

/**
 * `convTranspose2d` with a weight (in, out/groups, kh, kw) and a bias (out), uniform within ±1/√(out/groups·kh·kw) at
 * first, as PyTorch has it.
 *
 * @param inChannels channels of the input; undefined: those of the first input
 * @param outChannels channels of the output
 * @param options kernelSize (required), stride, padding, dilation, groups, outputPadding, outputShape, overlap, bias,
 *   activation, dataFormat, dtype, seed
 * @throws DeconvError for options that make no transposed convolution, unknown ones, channels that do not divide by groups
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { ConvTranspose2d } from 'deconv/nn';
 * const up = new ConvTranspose2d(16, 8, { kernelSize: 4, stride: 2, padding: 1 });
 * console.log(up.forward(zeros([1, 16, 8, 8])).shape); // [ 1, 8, 16, 16 ]
 * ```
 */
export class ConvTranspose2d extends ConvTransposeLayer {
  constructor(inChannels: number | undefined, outChannels: number, options: ConvTransposeLayerOptions) {
    super('ConvTranspose2d', 2, inChannels, outChannels, options);
  }
}

/** {@link ConvTranspose2d} over three axes: `convTranspose3d` on (N, C, D, H, W). */
export class ConvTranspose3d extends ConvTransposeLayer {
  constructor(inChannels: number | undefined, outChannels: number, options: ConvTransposeLayerOptions) {
    super('ConvTranspose3d', 3, inChannels, outChannels, options);
  }
}
