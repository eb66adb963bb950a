/**
 * backend: what an engine must be able to do, and nothing else. An operation comes with its definition, its input storages
 * and its attributes; it returns the storage of its one output. All checking is done above, all sizes are in the
 * attributes: a backend trusts what it is given.
 *
 * The set is small because it is closed under differentiation: next to each linear operation stands its adjoint
 * (`conv.forward` and `conv.inputGrad`, `strided.read` and `strided.write`, `axis.map` either way round, `fold` and
 * `unfold` …), and the gradient of every nonlinear one is made of operations in the set.
 */
import type { ConvGeometry } from './geometry/conv.js';
import type { WindowGeometry } from './geometry/window.js';
import type { Shape } from './shape.js';
import type { DType, Recipe, Storage, TypedArray } from './tensor.js';

/** A function applied to each output of a convolution before it is stored. */
export interface Activation {
  readonly fn: 'leakyRelu' | 'clamp' | 'sigmoid' | 'tanh';
  /** leakyRelu [slope], clamp [min, max]. */
  readonly parameters: readonly number[];
}

/** leakyRelu with one slope per output channel: they are one more input, the last. */
export interface PreluActivation {
  readonly fn: 'prelu';
  readonly parameters: readonly [];
}

/** A function without parameters that brings its kernels along. */
export interface OwnActivation {
  readonly fn: 'own';
  readonly parameters: readonly [];
  readonly own: UnaryFunction;
}

/** What networks end their convolutions with. */
export type FusedActivation = Activation | PreluActivation | OwnActivation;

/** Attributes of the convolutions. The bias, if any, is the third input, one value per output channel. */
export interface ConvAttributes {
  readonly geometry: ConvGeometry;
  readonly bias: boolean;
  /** `conv.inputGrad` only: divide each output by its coverage before the bias. */
  readonly average: boolean;
  /** `conv.forward` and `conv.inputGrad`: applied last. */
  readonly activation?: Activation | undefined;
}

/** Attributes of convolutions that what stood around them in a network has been drawn into. */
export interface FusedConvAttributes extends Omit<ConvAttributes, 'activation'> {
  /** Applied last. With `average`, never prelu. */
  readonly activation?: FusedActivation | undefined;
  /**
   * The last input, of the output's shape, is added before the activation, which is a clamp from below if there is one. Not with
   * `average`.
   */
  readonly residual?: boolean | undefined;
  /** What the data goes through first, a function that leaves zeros what they are. */
  readonly before?: Activation | undefined;
  /**
   * `conv.forwardFused` of one group: x has so many channels; the others are those of one more input, the very last, as if the two
   * had been joined.
   */
  readonly split?: number | undefined;
}

/** Elementwise functions of one argument. */
export type UnaryName =
  | 'abs' | 'sign' | 'exp' | 'log' | 'sqrt' | 'square' | 'reciprocal' | 'sin' | 'cos' | 'erf' | 'floor' | 'ceil'
  | 'relu' | 'leakyRelu' | 'elu' | 'selu' | 'sigmoid' | 'tanh' | 'softplus' | 'gelu' | 'geluTanh' | 'silu'
  | 'hardSigmoid' | 'hardSwish' | 'mish' | 'softsign' | 'clamp' | 'powScalar'; // biome-ignore format: a word list

/** A function of one argument with its kernels, as an {@link Operation} has them: f, f′ and f″. */
export interface UnaryFunction {
  readonly name: UnaryName;
  readonly reference: readonly ((x: number, parameters: readonly number[]) => number)[];
}

/** Elementwise functions of two arguments; comparisons give 1 or 0; `prelu` is a where it is above 0, else a·b. */
export type BinaryName =
  | 'add' | 'sub' | 'mul' | 'div' | 'pow' | 'maximum' | 'minimum' | 'equal' | 'greater' | 'greaterEqual'
  | 'prelu'; // biome-ignore format: a word list

/** Reductions over whole axes. */
export type ReduceName = 'sum' | 'max' | 'min';

/**
 * A view of a row-major array: element (i₀, i₁, …) lies at offset + Σ iₐ·strideₐ. Strides may be 0 (a repeated axis)
 * or negative (a reversed one).
 */
export interface StridedView {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

/**
 * A sparse matrix along one axis of (outer, axis, inner): output position o is Σₜ weight[o·taps + t] · input[index[o·taps
 * + t]]. It covers nearest and linear resampling, index selection and mirrored padding; `transposed` applies its
 * adjoint.
 */
export interface AxisMap {
  readonly inLength: number;
  readonly outLength: number;
  readonly taps: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/** An array seen as (outer, channels, inner), row-major: how normalisations see it. */
export interface Channels {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

/** How the channels around one damp it: local response normalisation. */
export interface LocalResponse {
  readonly size: number;
  readonly before: number;
  readonly alpha: number;
  readonly beta: number;
  readonly bias: number;
}

/** Attributes of each operation, by name. */
export interface OpTable {
  /** (x, w, bias?) → y */
  'conv.forward': ConvAttributes;
  /** (y, w, bias?) → x: the transposed convolution */
  'conv.inputGrad': ConvAttributes;
  /** (x, y) → w */
  'conv.weightGrad': ConvAttributes;
  /** (x, w, bias?, slopes or residual?, more channels of x?) → y */
  'conv.forwardFused': FusedConvAttributes;
  /** (y, w, bias?, slopes or residual?) → x */
  'conv.inputGradFused': FusedConvAttributes;
  /** (x[, g]) → f(x), f′(x) or f″(x) by `order` [· g]; `parameters` are those of f */
  unary: { readonly fn: UnaryFunction; readonly order: number; readonly parameters: readonly number[] };
  /** (a, b) → f(a, b), both broadcast to `shape` */
  binary: { readonly fn: BinaryName; readonly aShape: Shape; readonly bShape: Shape; readonly shape: Shape };
  /** (condition, a, b), all of one shape → a where condition ≠ 0, else b */
  select: Record<never, never>;
  /** (x) → reduced over `axes` of `shape` */
  reduce: { readonly fn: ReduceName; readonly shape: Shape; readonly axes: readonly number[] };
  /** (x) → int32 position of the largest element along an axis of `shape` */
  argMax: { readonly shape: Shape; readonly axis: number };
  /** (x) → the elements of the view, row-major */
  'strided.read': StridedView;
  /** (x) → an array of `length` filled with `fill`, into whose view x is added, or set */
  'strided.write': StridedView & {
    readonly length: number;
    readonly fill: number;
    readonly mode: 'add' | 'set';
  };
  /** (a, b, …) → joined along an axis: `outer` times, `lengths[i]` elements of input i */
  concat: { readonly outer: number; readonly lengths: readonly number[] };
  /** (x) of shape (outer, axis, inner) → the same with the axis mapped */
  'axis.map': {
    readonly outer: number;
    readonly inner: number;
    readonly map: AxisMap;
    readonly transposed: boolean;
  };
  /** (a, b): batch × (m, k) · (k, n), each stored transposed if so flagged */
  matmul: {
    readonly batch: number;
    readonly m: number;
    readonly n: number;
    readonly k: number;
    readonly transposeA: boolean;
    readonly transposeB: boolean;
  };
  /** (x) of shape (outer, axis, inner) → softmax along the axis, or its logarithm */
  softmax: { readonly outer: number; readonly length: number; readonly inner: number; readonly log: boolean };
  /** (x, m, f, t[, y, n, g]) → (x − m)·f + t [+ (y − n)·g], all but x and y one number per channel; at least 0 if so asked */
  'channel.affine': Channels & { readonly relu?: boolean };
  /** (x, m, y, n) → Σ (x − m)·(y − n) of each channel, m and n one number per channel */
  'channel.dot': Channels;
  /** (x) → x / (bias + alpha/size · Σ x²)^beta, the sum over the `size` channels around its own, `before` of them in front */
  'channel.response': Channels & LocalResponse;
  /** (x) → maximum of each window; NaN wins; −∞ where a window sees nothing */
  'pool.max': WindowGeometry;
  /** (x) → int32 position of each window's maximum in its channel's input plane */
  'pool.argMax': WindowGeometry;
  /** (x, indices) → x[index], plane by plane */
  'plane.gather': { readonly planes: number; readonly from: number; readonly to: number };
  /** (x, indices) → a plane of zeros with x added, or set, at the indices */
  'plane.scatter': {
    readonly planes: number;
    readonly from: number;
    readonly to: number;
    readonly mode: 'add' | 'set';
  };
  /** (x) → window means; `countIncludePad` divides by the whole window, else by its part inside the input */
  'pool.average': { readonly window: WindowGeometry; readonly countIncludePad: boolean };
  /** (y) → the adjoint of `pool.average` */
  'pool.averageGrad': { readonly window: WindowGeometry; readonly countIncludePad: boolean };
  /** (x) of (N, C, …space) → (N, C·|k|, windows) */
  unfold: WindowGeometry;
  /** (columns) of (N, C·|k|, windows) → (N, C, …space), overlaps added */
  fold: WindowGeometry;
  /** (x) → the same values in another number type */
  cast: { readonly dtype: DType };
  /**
   * (x, g, …memories) → x moved against its gradient g. The only operation that writes to inputs: the memories, which
   * belong to the optimiser alone, are changed in place. The numbers are those of its rule.
   */
  'optimizer.step': { readonly numbers: readonly number[] };
}

/** Name of an operation. */
export type OpName = keyof OpTable;

/** An operation in plain loops: the values of its inputs → those of its output, to be rounded to the number type. */
export type Definition<K extends OpName> = (
  inputs: readonly ArrayLike<number>[],
  attributes: OpTable[K],
) => ArrayLike<number>;

/**
 * An operation with its kernels. An engine chooses its own if there is one and it takes these inputs, and the definition
 * else; what it has of its own stands in further properties, under its name (see operations.ts).
 */
export interface Operation<K extends OpName> {
  readonly name: K;
  /** The last candidate of every engine. */
  readonly reference: Definition<K>;
  /** Number type of the output. Default: that of the first input. */
  readonly type?: (inputs: readonly Storage[], attributes: OpTable[K]) => DType;
}

/** An engine that runs operations. */
export interface Backend {
  readonly name: string;
  /** Takes values over, or how they are made; the caller must not use the array afterwards. */
  upload(values: TypedArray | Recipe): Storage;
  /** Runs one operation. Inputs may come from another backend. */
  run<K extends OpName>(operation: Operation<K>, inputs: readonly Storage[], attributes: OpTable[K]): Storage;
}
