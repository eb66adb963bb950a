/** create: tensors from values, from a rule, and from seeded random numbers. */
import { collectGradients } from '../autograd.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { checkShape, type Shape, showShape, sizeOf } from '../shape.js';
import {
  allocate,
  convert,
  DTYPES,
  type DType,
  dtypeOf,
  type NestedNumbers,
  type Tensor,
  type TypedArray,
} from '../tensor.js';
import { fromValues } from './input.js';

/** Options of all makers. */
export interface CreateOptions {
  /** Number type. Default: that of the typed array given, else `'float32'`. */
  readonly dtype?: DType | undefined;
  /** Collect gradients in this tensor. Default false. */
  readonly requiresGrad?: boolean | undefined;
}

const CREATE_OPTIONS = ['dtype', 'requiresGrad'] as const;

function finish(values: TypedArray, shape: Shape, options: CreateOptions): Tensor {
  const made = fromValues(values, shape);
  return options.requiresGrad ? collectGradients(made) : made;
}

function readOptions(
  op: string,
  options: CreateOptions | undefined,
  known: readonly string[] = CREATE_OPTIONS,
): CreateOptions {
  checkOptions(op, options, known);
  if (options?.dtype !== undefined) checkName(op, 'dtype', options.dtype, DTYPES);
  return options ?? {};
}

/** The numbers of nested arrays in order, and their shape; every row of an axis must be as long as the first. */
function flatten(nested: NestedNumbers): [values: number[], shape: number[]] {
  const shape: number[] = [];
  for (let level: NestedNumbers = nested; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const values: number[] = [];
  const visit = (level: NestedNumbers, axis: number, path: string): void => {
    if (axis === shape.length) {
      if (typeof level !== 'number')
        refuse('tensor', 'values', `values${path} must be a number, got ${show(level)}`);
      values.push(level);
      return;
    }
    if (!Array.isArray(level) || level.length !== shape[axis]) {
      const got = Array.isArray(level) ? `${level.length} entries` : show(level);
      refuse(
        'tensor',
        'values',
        `values${path} must have ${shape[axis]} entries like its siblings, got ${got}`,
      );
    }
    for (const [i, entry] of level.entries()) visit(entry, axis + 1, `${path}[${i}]`);
  };
  visit(nested, 0, '');
  return [values, shape];
}

/** What a tensor can be made from; clamped bytes, as a canvas has them, become uint8. */
type Values = TypedArray | Uint8ClampedArray | NestedNumbers;

/**
 * A tensor from values: a typed array (copied), nested arrays or one number.
 *
 * @param values typed array (the bytes of an ImageData too), nested arrays, or a number
 * @param shape axis lengths; default: the nesting, or one axis for a typed array
 * @throws DeconvError when the values do not fill the shape or the nesting is ragged
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * console.log(tensor([[1, 2], [3, 4]]).shape); // [ 2, 2 ]
 * console.log(tensor(new Float64Array(6), [2, 3]).dtype); // float64
 * ```
 */
export function tensor(values: Values, shape?: Shape, options?: CreateOptions): Tensor;
export function tensor(values: Values, options?: CreateOptions): Tensor;
export function tensor(values: Values, shapeOrOptions?: Shape | CreateOptions, more?: CreateOptions): Tensor {
  const shapeGiven = Array.isArray(shapeOrOptions);
  const options = readOptions('tensor', shapeGiven ? more : ((shapeOrOptions as CreateOptions) ?? more));
  const own = values instanceof Uint8ClampedArray ? 'uint8' : dtypeOf(values);
  if (own === undefined && typeof values !== 'number' && !Array.isArray(values)) {
    refuse(
      'tensor',
      'values',
      `values must be a typed array, nested arrays or a number, got ${show(values)}`,
    );
  }
  const [flat, natural] = own === undefined ? flatten(values as NestedNumbers) : [values as TypedArray];
  const shape = checkShape('tensor', 'shape', shapeGiven ? shapeOrOptions : (natural ?? [flat.length]));
  if (sizeOf(shape) !== flat.length) {
    refuse('tensor', 'shape', `shape ${showShape(shape)} holds ${sizeOf(shape)} values, got ${flat.length}`);
  }
  return finish(convert(options.dtype ?? own ?? 'float32', flat), shape, options);
}

function filled(op: string, shape: Shape, value: number, options: CreateOptions | undefined): Tensor {
  const { dtype, ...rest } = readOptions(op, options);
  const axes = checkShape(op, 'shape', shape);
  if (typeof value !== 'number') refuse(op, 'value', `value must be a number, got ${show(value)}`);
  return finish(allocate(dtype ?? 'float32', sizeOf(axes)).fill(value), axes, rest);
}

/** A tensor of one value. */
export function full(shape: Shape, value: number, options?: CreateOptions): Tensor {
  return filled('full', shape, value, options);
}

/** A tensor of zeros. */
export function zeros(shape: Shape, options?: CreateOptions): Tensor {
  return filled('zeros', shape, 0, options);
}

/** A tensor of ones. */
export function ones(shape: Shape, options?: CreateOptions): Tensor {
  return filled('ones', shape, 1, options);
}

/** 0, 1, 2 … count − 1 along one axis. */
export function arange(count: number, options?: CreateOptions): Tensor {
  const { dtype, ...rest } = readOptions('arange', options);
  const shape = checkShape('arange', 'count', [count]);
  return finish(
    allocate(dtype ?? 'float32', count).map((_, i) => i),
    shape,
    rest,
  );
}

/** Options of the random makers. */
export interface RandomOptions extends CreateOptions {
  /** Number type. Default `'float32'`. */
  readonly dtype?: 'float32' | 'float64' | undefined;
  /** Where the sequence starts: the same seed gives the same numbers everywhere. Integer. Default 0. */
  readonly seed?: number | undefined;
}

/**
 * A seeded stream of numbers, uniform in [0, 1) with 32 bits: the generator xoshiro128** of Blackman and Vigna
 * (arXiv:1805.01407), its state filled from the seed by the splitmix32 mixing function.
 *
 * @example
 * ```ts
 * import { randomStream } from 'deconv';
 * const next = randomStream(7);
 * console.log(next() !== next()); // true
 * ```
 */
export function randomStream(seed: number): () => number {
  if (!Number.isInteger(seed)) refuse('randomStream', 'seed', `seed must be an integer, got ${show(seed)}`);
  let mixed = seed | 0;
  const state = Uint32Array.from({ length: 4 }, () => {
    mixed = (mixed + 0x9e3779b9) | 0;
    let z = mixed;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  });
  const rotate = (x: number, by: number) => (x << by) | (x >>> (32 - by));
  return () => {
    const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 11);
    return result / 2 ** 32;
  };
}

function random(
  op: string,
  shape: Shape,
  options: RandomOptions | undefined,
  draw: (next: () => number, dtype: DType) => number,
): Tensor {
  const {
    dtype = 'float32',
    seed,
    ...rest
  } = readOptions(op, options, [...CREATE_OPTIONS, 'seed']) as RandomOptions;
  checkName(op, 'dtype', dtype, ['float32', 'float64']);
  const axes = checkShape(op, 'shape', shape);
  const next = randomStream(seed ?? 0);
  return finish(
    allocate(dtype, sizeOf(axes)).map(() => draw(next, dtype)),
    axes,
    rest,
  );
}

/** Uniform random numbers in [0, 1). */
export function rand(shape: Shape, options?: RandomOptions): Tensor {
  // float32 has 24 bits: what they cannot hold is cut off, since rounding could give 1.
  return random('rand', shape, options, (next, dtype) =>
    dtype === 'float32' ? Math.floor(next() * 2 ** 24) / 2 ** 24 : next(),
  );
}

/**
 * Normal random numbers of mean 0 and variance 1 (Box and Muller's transform).
 *
 * @example
 * ```ts
 * import { randn } from 'deconv';
 * console.log(randn([2, 3], { seed: 1 }).shape); // [ 2, 3 ]
 * ```
 */
export function randn(shape: Shape, options?: RandomOptions): Tensor {
  return random('randn', shape, options, (next) => {
    // 1 − u lies in (0, 1], so that the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    return radius * Math.cos(2 * Math.PI * next());
  });
}
