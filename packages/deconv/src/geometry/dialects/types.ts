/**
 * dialects/types: what it means to translate. A *dialect* is the set of option names and conventions in which one
 * framework describes a convolution or a transposed convolution; *canonical* options are deconv's own
 * (`ConvGeometryOptions`, `ConvTransposeGeometryOptions`). Translating never changes what is computed: the same
 * numbers come out, or the translation says why it cannot be done.
 */
import type { PerAxis } from '../../shape.js';
import type { Pad } from '../axis.js';
import type { ConvGeometryOptions, ConvTransposeGeometryOptions } from '../conv.js';

/** Which of the two operations is described. */
export type ConvOp = 'conv' | 'convTranspose';

/** The names of the known dialects. */
export type DialectName = 'torch' | 'keras' | 'onnx' | 'jax' | 'tfjs' | 'webnn' | 'numpy-ml' | 'tinynet';

/** Options as one framework writes them. Every name and value is checked; unknown ones are refused. */
export type DialectOptions = Readonly<Record<string, unknown>>;

/** Canonical options, with the sizes that a translation may depend on. */
export interface CanonicalLayer extends ConvGeometryOptions, ConvTransposeGeometryOptions {
  /** Number of spatial axes, 1 to 3. Default: as the arrays say, else 2. */
  readonly rank?: number | undefined;
  readonly inputSize?: PerAxis | undefined;
  readonly kernelSize?: PerAxis | undefined;
}

/** How a weight travels between a framework and deconv. */
export interface WeightMapping {
  /** The framework's own order of axes: letters O, I and D, H, W. deconv: OIHW for conv, IOHW for convTranspose. */
  readonly weightLayout: string;
  /**
   * The permutation to apply, as `permute(weight, weightPermutation)`: axis j of the result is axis
   * weightPermutation[j] of what is permuted. From a dialect: theirs → ours; to a dialect: ours → theirs.
   */
  readonly weightPermutation: readonly number[];
  /** True when the spatial axes of the kernel must also be reversed (the framework correlates where we scatter). */
  readonly weightFlip: boolean;
}

/** What a framework's options are in deconv. */
export interface FromDialect extends WeightMapping {
  /** Canonical options, ready for `conv2d`, `convTranspose2d` or their geometries. */
  readonly options: ConvGeometryOptions & ConvTransposeGeometryOptions;
  /** Where the framework keeps channels: pass it on as `dataFormat`. */
  readonly dataFormat: 'NCHW' | 'NHWC';
  /** In words: what moves, what differs, what that framework is known to get wrong. */
  readonly notes: readonly string[];
}

/** deconv's options in a framework's words, or the reason why it has none for them. */
export type ToDialect = ToDialectFound | ToDialectNone;

/** The framework can say it. */
export interface ToDialectFound extends WeightMapping {
  readonly options: DialectOptions;
  readonly dataFormat: 'NCHW' | 'NHWC';
  readonly notes: readonly string[];
}

/** The framework cannot say it. */
export interface ToDialectNone {
  readonly reason: string;
}

/**
 * Canonical options made explicit, as the `to` side of a dialect reads them. For a transposed convolution `pads` is
 * the net crop: outputPadding already taken off the after side, so `after` may be negative.
 */
export interface Explicit {
  readonly op: ConvOp;
  readonly rank: number;
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /** Undefined only for a convolution's 'same' whose sizes are not given. */
  readonly pads: readonly Pad[] | undefined;
  /** The options said 'same' by name. */
  readonly same: boolean;
  /** As given (0 when outputShape decided). */
  readonly outputPadding: readonly number[];
  readonly kernelSize: readonly number[] | undefined;
  readonly inputSize: readonly number[] | undefined;
  /** Known when the sizes are. */
  readonly outputSize: readonly number[] | undefined;
}

/** What a dialect answers on the way out; the registry adds the weight mapping and freezes. */
export type Said =
  | {
      readonly options: DialectOptions;
      readonly layout: string;
      readonly flip?: boolean;
      readonly dataFormat: 'NCHW' | 'NHWC';
      readonly notes?: readonly string[];
    }
  | { readonly reason: string };

/** What a dialect answers on the way in. */
export interface Heard {
  readonly options: ConvGeometryOptions & ConvTransposeGeometryOptions;
  readonly layout: string;
  readonly flip?: boolean;
  readonly dataFormat: 'NCHW' | 'NHWC';
  readonly notes?: readonly string[];
}

/** One framework's entry in the registry. */
export interface Dialect {
  readonly name: DialectName;
  /** The functions whose arguments these are. */
  readonly about: string;
  /** Option names with their meaning, for each operation. */
  readonly options: Readonly<Record<ConvOp, Readonly<Record<string, string>>>>;
  /** Options that hold one value per spatial axis, and flat ones that hold two: they tell the rank. */
  readonly perAxis: readonly string[];
  readonly flat?: readonly string[];
  /** Set when the framework's functions have one rank only. */
  readonly rank?: number;
  from(read: Reading): Heard;
  to(it: Explicit): Said;
}

/** A checked view of a dialect's options: every reader refuses bad values under the right name. */
export interface Reading {
  readonly where: string;
  readonly op: ConvOp;
  readonly rank: number;
  /** The raw value; null (Python's None) reads as undefined. */
  raw(name: string): unknown;
  /** One integer ≥ least per axis. */
  ints(name: string, fallback: number | readonly number[], least: number): number[];
  /** As `ints`, undefined when the option is not given. */
  maybeInts(name: string, least: number): number[] | undefined;
  /** One integer for all axes, as scalar-only frameworks have it. */
  int(name: string, fallback: number, least: number): number;
  /** One of a few names; what is not a string passes through `raw` instead. */
  name<T extends string>(name: string, known: readonly T[], fallback: T): T;
  flag(name: string, fallback: boolean): boolean;
  /** The kernel's size under the framework's name or as `kernelSize`; refuses when neither is given and `why` is. */
  kernel(own?: string): number[] | undefined;
  needKernel(why: string, own?: string): number[];
  needInput(why: string): number[];
}
