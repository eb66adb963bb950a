/**
 * init: how parameters begin. Each initialiser gives a parameter new values, drawn from a seeded stream, and returns it;
 * results computed before keep the old ones.
 *
 * How far values scatter goes by the number of inputs (fanIn) or outputs (fanOut) of one unit. With m taps, they are
 *
 *     convolution, linear (out, in/groups, …k)   fanIn = in/groups·m    fanOut = out·m
 *     transposed          (in, out/groups, …k)   fanIn = in/groups·m    fanOut = out/groups·m
 *
 * PyTorch knows only the first line and applies it to transposed weights too; so does this where `transposed` is not said.
 */
import { noGrad } from '../autograd.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { randomStream } from '../ops/create.js';
import { fromValues } from '../ops/input.js';
import { showShape, sizeOf } from '../shape.js';
import { allocate, Tensor, type TypedArray } from '../tensor.js';
import { drawNormal, drawUniform, type RandomStream } from './draw.js';
import { readCount, readFlag, readNumber, type SeedOption } from './options.js';
import { layerSeed } from './seed.js';

function readParameter(op: string, parameter: Tensor, leastRank = 0): Tensor {
  if (!(parameter instanceof Tensor))
    refuse(op, 'parameter', `parameter must be a tensor, got ${show(parameter)}`);
  if (parameter.dtype !== 'float32' && parameter.dtype !== 'float64')
    refuse(op, 'parameter', `parameter must be float32 or float64, got ${parameter.dtype}`);
  if (parameter.rank < leastRank)
    refuse(
      op,
      'parameter',
      `parameter must have rank ≥ ${leastRank} to have inputs and outputs, got ${showShape(parameter.shape)}`,
    );
  return parameter;
}

/** Gives a parameter the values that `write` puts into an array of zeros. */
function assign(parameter: Tensor, write: (values: TypedArray) => void): Tensor {
  const values = allocate(parameter.dtype, parameter.size);
  write(values);
  noGrad(() => {
    const fresh = fromValues(values, parameter.shape);
    parameter.assign(fresh);
    fresh.letGo();
  });
  return parameter;
}

function assignDrawn(parameter: Tensor, draw: () => number): Tensor {
  return assign(parameter, (values) => {
    for (let i = 0; i < values.length; i++) values[i] = draw();
  });
}

const streamOf = (op: string, options: SeedOption): RandomStream => randomStream(layerSeed(op, options));

/** Options of the initialisers that go by inputs and outputs. */
export interface FanOptions extends SeedOption {
  /** True for the weight of a transposed convolution, (in, out/groups, …kernel). Default false. */
  readonly transposed?: boolean | undefined;
  /** Groups of a transposed convolution; a convolution's are in its shape. Default 1. */
  readonly groups?: number | undefined;
}

function fansOf(op: string, { shape }: Tensor, options: FanOptions): { fanIn: number; fanOut: number } {
  const taps = sizeOf(shape.slice(2));
  const groups = readCount(op, 'groups', options.groups ?? 1);
  if (!readFlag(op, 'transposed', options.transposed ?? false)) {
    return { fanIn: shape[1] * taps, fanOut: shape[0] * taps };
  }
  return { fanIn: (shape[0] / groups) * taps, fanOut: shape[1] * taps };
}

/** Options of {@link kaimingNormal} and {@link kaimingUniform}. */
export interface KaimingOptions extends FanOptions {
  /** `'fanIn'` keeps the size of values on the way forward, `'fanOut'` that of gradients on the way back. Default `'fanIn'`. */
  readonly mode?: 'fanIn' | 'fanOut' | undefined;
  /** Slope of the leaky rectifier that follows; 0: a rectifier; 1: none. Default 0. */
  readonly slope?: number | undefined;
}

/** Standard deviation √(2 / (1 + slope²) / fan). */
function kaimingDeviation(op: string, parameter: Tensor, options: KaimingOptions): number {
  checkOptions(op, options, ['seed', 'transposed', 'groups', 'mode', 'slope']);
  readParameter(op, parameter, 2);
  const { mode = 'fanIn' } = options;
  checkName(op, 'mode', mode, ['fanIn', 'fanOut']);
  const slope = readNumber(op, 'slope', options.slope ?? 0);
  return Math.sqrt(2 / (1 + slope * slope) / fansOf(op, parameter, options)[mode]);
}

/**
 * Normal with the standard deviation √(2 / (1 + slope²) / fan): He et al. 2015, arXiv:1502.01852. PyTorch's
 * `kaiming_normal_`.
 *
 * @example
 * ```ts
 * import { Conv2d, init } from 'deconv/nn';
 * const conv = new Conv2d(64, 64, { kernelSize: 3 });
 * init.kaimingNormal(conv.weight, { mode: 'fanOut', seed: 1 });
 * ```
 */
export function kaimingNormal(parameter: Tensor, options: KaimingOptions = {}): Tensor {
  const deviation = kaimingDeviation('kaimingNormal', parameter, options);
  const next = streamOf('kaimingNormal', options);
  return assignDrawn(parameter, () => deviation * drawNormal(next));
}

/** Uniform with the standard deviation of {@link kaimingNormal}: within ±√3 of them. PyTorch's `kaiming_uniform_`. */
export function kaimingUniform(parameter: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingDeviation('kaimingUniform', parameter, options);
  const next = streamOf('kaimingUniform', options);
  return assignDrawn(parameter, () => drawUniform(next, -bound, bound));
}

/** Options of {@link xavierNormal} and {@link xavierUniform}. */
export interface XavierOptions extends FanOptions {
  /** Factor of the standard deviation, for what follows: 5/3 for tanh. Default 1. */
  readonly gain?: number | undefined;
}

function xavierDeviation(op: string, parameter: Tensor, options: XavierOptions): number {
  checkOptions(op, options, ['seed', 'transposed', 'groups', 'gain']);
  const { fanIn, fanOut } = fansOf(op, readParameter(op, parameter, 2), options);
  return readNumber(op, 'gain', options.gain ?? 1) * Math.sqrt(2 / (fanIn + fanOut));
}

/** Normal with the standard deviation gain·√(2 / (fanIn + fanOut)): Glorot & Bengio 2010. */
export function xavierNormal(parameter: Tensor, options: XavierOptions = {}): Tensor {
  const deviation = xavierDeviation('xavierNormal', parameter, options);
  const next = streamOf('xavierNormal', options);
  return assignDrawn(parameter, () => deviation * drawNormal(next));
}

/** Uniform with the standard deviation of {@link xavierNormal}: within ±√3 of them. */
export function xavierUniform(parameter: Tensor, options: XavierOptions = {}): Tensor {
  const bound = Math.sqrt(3) * xavierDeviation('xavierUniform', parameter, options);
  const next = streamOf('xavierUniform', options);
  return assignDrawn(parameter, () => drawUniform(next, -bound, bound));
}

/** Options of {@link truncatedNormal}. */
export interface TruncatedNormalOptions extends SeedOption {
  /** Default 0. */
  readonly mean?: number | undefined;
  /** Standard deviation before truncation, > 0. Default 1. */
  readonly deviation?: number | undefined;
  /** Lower end. Default mean − 2 deviations. */
  readonly min?: number | undefined;
  /** Upper end. Default mean + 2 deviations. */
  readonly max?: number | undefined;
}

/**
 * Normal, what falls outside [min, max] drawn again.
 *
 * @throws DeconvError for an interval that hardly a draw would hit: narrower than 1/10 deviation, or more than 2 away from
 *   the mean
 */
export function truncatedNormal(parameter: Tensor, options: TruncatedNormalOptions = {}): Tensor {
  const op = 'truncatedNormal';
  checkOptions(op, options, ['seed', 'mean', 'deviation', 'min', 'max']);
  readParameter(op, parameter);
  const mean = readNumber(op, 'mean', options.mean ?? 0);
  const deviation = readNumber(op, 'deviation', options.deviation ?? 1, 0);
  const min = readNumber(op, 'min', options.min ?? mean - 2 * deviation);
  const max = readNumber(op, 'max', options.max ?? mean + 2 * deviation);
  const [from, to] = [(min - mean) / deviation, (max - mean) / deviation];
  if (!(to - from >= 0.1 && from <= 2 && to >= -2)) {
    refuse(
      op,
      'min',
      `[min ${min}, max ${max}] must be at least 1/10 deviation wide and reach within 2 deviations of the mean: mean ${mean}, deviation ${deviation}`,
    );
  }
  const next = streamOf(op, options);
  return assignDrawn(parameter, () => {
    for (;;) {
      const value = drawNormal(next);
      if (value >= from && value <= to) return mean + deviation * value;
    }
  });
}

/** Options of {@link orthogonal}. */
export interface OrthogonalOptions extends SeedOption {
  /** Factor of all values. Default 1. */
  readonly gain?: number | undefined;
}

/**
 * A random orthogonal matrix: with the first axis as rows and all others as columns, the shorter of the two sets is
 * orthonormal (Saxe et al. 2013, arXiv:1312.6120). Normal vectors made orthogonal to those before them, each twice, so that
 * what rounding left goes too.
 *
 * @param parameter rank ≥ 2
 */
export function orthogonal(parameter: Tensor, options: OrthogonalOptions = {}): Tensor {
  const op = 'orthogonal';
  checkOptions(op, options, ['seed', 'gain']);
  const { shape } = readParameter(op, parameter, 2);
  const gain = readNumber(op, 'gain', options.gain ?? 1);
  const [rows, columns] = [shape[0], sizeOf(shape.slice(1))];
  const [count, length] = rows <= columns ? [rows, columns] : [columns, rows];
  const next = streamOf(op, options);
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const vectors: Float64Array[] = [];
  for (let v = 0; v < count; v++) {
    const vector = Float64Array.from({ length }, () => drawNormal(next));
    for (let pass = 0; pass < 2; pass++) {
      for (const other of vectors) {
        const share = dot(vector, other);
        for (let i = 0; i < length; i++) vector[i] -= share * other[i];
      }
    }
    const size = Math.sqrt(dot(vector, vector));
    vectors.push(vector.map((value) => value / size));
  }
  return assign(parameter, (values) => {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = rows <= columns ? vectors[row][column] : vectors[column][row];
        values[row * columns + column] = gain * value;
      }
    }
  });
}

/**
 * Linear interpolation as the weight of a transposed convolution (in, out/groups, …k), channel to channel of the same
 * number (Long et al. 2015, arXiv:1411.4038): with stride s, kernelSize 2s − s mod 2 and padding ⌊(k − s + 1)/2⌋ the layer
 * starts as upsampling by s. Along an axis the tap u has the weight 1 − |u − c| / f, f = ⌈k/2⌉, c = f − 1 for odd k, f − ½
 * for even.
 *
 * @example
 * ```ts
 * import { ones } from 'deconv';
 * import { ConvTranspose2d, init } from 'deconv/nn';
 * const up = new ConvTranspose2d(1, 1, { kernelSize: 4, stride: 2, padding: 1, bias: false });
 * init.bilinear(up.weight);
 * console.log(up.forward(ones([1, 1, 1, 3])).data.slice(0, 6).join()); // 0.5625,0.75,0.75,0.75,0.75,0.5625
 * ```
 */
export function bilinear(parameter: Tensor): Tensor {
  const op = 'bilinear';
  const { shape } = readParameter(op, parameter, 3);
  const [inputs, outputs, ...kernel] = shape;
  const axes = kernel.map((k) => {
    const f = Math.ceil(k / 2);
    const centre = k % 2 === 1 ? f - 1 : f - 0.5;
    return Array.from({ length: k }, (_, u) => 1 - Math.abs(u - centre) / f);
  });
  const taps = axes.reduce((products, axis) => products.flatMap((p) => axis.map((w) => p * w)), [1]);
  return assign(parameter, (values) => {
    for (let i = 0; i < inputs; i++) {
      // With one output per group, as in FCN's grouped form, all weights are of a channel to itself.
      const o = outputs === 1 ? 0 : i;
      if (o < outputs) values.set(taps, (i * outputs + o) * taps.length);
    }
  });
}

/**
 * Begins the convolution before a pixel shuffle without a checkerboard (ICNR: Aitken et al. 2017, arXiv:1707.02937): the
 * factor² output channels that become one block of pixels start with the same weights, so that the block starts flat.
 *
 * @param parameter (channels·factor², in, …k)
 * @param factor of the pixel shuffle
 * @param initialise gives one weight of each block its values, shape (channels, in, …k). Default {@link kaimingNormal}
 */
export function icnr(
  parameter: Tensor,
  factor: number,
  initialise: (weight: Tensor) => Tensor = (weight) => kaimingNormal(weight),
): Tensor {
  const op = 'icnr';
  const { shape, dtype } = readParameter(op, parameter, 2);
  const block = readCount(op, 'factor', factor) ** 2;
  if (shape[0] % block !== 0)
    refuse(op, 'factor', `output channels ${shape[0]} must divide by factor² = ${block}`);
  const small = [shape[0] / block, ...shape.slice(1)];
  const first = initialise(fromValues(allocate(dtype, sizeOf(small)), small));
  const step = sizeOf(shape.slice(1));
  return assign(parameter, (values) => {
    for (let o = 0; o < shape[0]; o++) {
      const from = Math.floor(o / block) * step;
      values.set(first.data.subarray(from, from + step), o * step);
    }
  });
}

/** One value everywhere. */
export function constant(parameter: Tensor, value: number): Tensor {
  const op = 'constant';
  readParameter(op, parameter);
  readNumber(op, 'value', value);
  return assign(parameter, (values) => values.fill(value));
}

/** 0 everywhere. */
export function zeros(parameter: Tensor): Tensor {
  return constant(parameter, 0);
}

/** 1 everywhere. */
export function ones(parameter: Tensor): Tensor {
  return constant(parameter, 1);
}

/** Options of {@link uniform}. */
export interface UniformOptions extends SeedOption {
  /** Default −1. */
  readonly min?: number | undefined;
  /** Default 1. */
  readonly max?: number | undefined;
}

/** Uniform in [min, max). */
export function uniform(parameter: Tensor, options: UniformOptions = {}): Tensor {
  const op = 'uniform';
  checkOptions(op, options, ['seed', 'min', 'max']);
  readParameter(op, parameter);
  const [min, max] = [readNumber(op, 'min', options.min ?? -1), readNumber(op, 'max', options.max ?? 1)];
  const next = streamOf(op, options);
  return assignDrawn(parameter, () => drawUniform(next, min, max));
}

/** Options of {@link normal}. */
export interface NormalOptions extends SeedOption {
  /** Default 0. */
  readonly mean?: number | undefined;
  /** Standard deviation, ≥ 0. Default 1. */
  readonly deviation?: number | undefined;
}

/** Normal. */
export function normal(parameter: Tensor, options: NormalOptions = {}): Tensor {
  const op = 'normal';
  checkOptions(op, options, ['seed', 'mean', 'deviation']);
  readParameter(op, parameter);
  const mean = readNumber(op, 'mean', options.mean ?? 0);
  const deviation = readNumber(op, 'deviation', options.deviation ?? 1, 0);
  const next = streamOf(op, options);
  return assignDrawn(parameter, () => mean + deviation * drawNormal(next));
}
