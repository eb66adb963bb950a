/**
 * trace: lets somebody watch a computation, as the export to ONNX does. `run` reports every operation of the contract; an
 * operation that is made of others, or says more than its kernels are told, reports itself as well when it is done, under
 * one of the names below. The later report of a result is the one that counts.
 *
 * Nobody watches as a rule: then a report costs a look at a variable, and its arguments are not even made.
 */
import type { ConvAttributes, OpTable } from './backend.js';
import type { WindowGeometry } from './geometry/window.js';
import type { Shape } from './shape.js';
import type { Tensor } from './tensor.js';

/** A window with the rounding that its sizes do not show. */
export interface TracedWindow {
  readonly window: WindowGeometry;
  readonly ceilMode: boolean;
}

type Positions = readonly (number | undefined)[] | undefined;

/** What operations say of themselves, by name. Inputs stand in the order of their description. */
export interface TracedOps {
  /** (x); the shape as it was asked for, −1 in it */
  reshape: { readonly shape: Shape };
  /** (x) */
  permute: { readonly order: readonly number[] };
  /** (x) → repeated to the shape of the output */
  expand: Record<never, never>;
  /** (x); positions as they were given */
  slice: { readonly start: Positions; readonly end: Positions; readonly step: Positions };
  /** (x) */
  pad: {
    readonly before: readonly number[];
    readonly after: readonly number[];
    readonly mode: 'constant' | 'reflect' | 'replicate' | 'circular';
    readonly value: number;
  };
  /** (x) */
  take: { readonly positions: Int32Array; readonly axis: number };
  /** (x) */
  pixelShuffle: { readonly factor: number };
  /** (x) */
  pixelUnshuffle: { readonly factor: number };
  /** (x) */
  reduction: {
    readonly fn: 'sum' | 'mean' | 'max' | 'min';
    readonly axes: readonly number[];
    readonly keepDims: boolean;
  };
  /** (x) → position of the maximum */
  position: { readonly axis: number };
  /** (a, b), as NumPy multiplies them */
  matrixProduct: Record<never, never>;
  /** (x, weight, bias?): a convolution whose padding goes by the size of its input */
  convSame: ConvAttributes;
  /** (x) → (maxima, positions) */
  maxPool: TracedWindow;
  /** (x, positions) */
  maxUnpool: {
    readonly kernelSize: readonly number[];
    readonly stride: readonly number[];
    readonly padding: readonly number[];
  };
  /** (x) */
  avgPool: TracedWindow & { readonly countIncludePad: boolean };
  /** (x); null keeps an axis */
  adaptiveAvgPool: { readonly size: readonly (number | null)[] };
  /** (x); factors where they were given instead of a size */
  upsample: {
    readonly mode: 'nearest' | 'linear' | 'cubic';
    readonly alignCorners: boolean;
    readonly factors: readonly number[] | undefined;
  };
  /** (x, mean, variance, weight?, bias?), by given statistics */
  batchNorm: Affine;
  /** (x, weight?, bias?), by the statistics of the batch */
  batchNormTraining: Affine;
  /** (x, weight?, bias?) */
  instanceNorm: Affine;
  /** (x, weight?, bias?) */
  groupNorm: Affine & { readonly groups: number };
  /** (x, weight?, bias?) over so many last axes */
  layerNorm: Affine & { readonly axes: number };
}

interface Affine {
  readonly eps: number;
  /** Which of the optional inputs there are. */
  readonly weight: boolean;
  readonly bias: boolean;
}

/** Told of each result, when it is there. */
export interface Tracer {
  <K extends keyof OpTable>(
    name: K,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    attributes: OpTable[K],
  ): void;
  <K extends keyof TracedOps>(
    name: K,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    attributes: TracedOps[K],
  ): void;
}

/** Whoever watches at present. Call it with `?.`, which makes no arguments for nobody. */
export let tracer: Tracer | undefined;

/** Runs `body` under the eyes of `watch`. */
export function traced<T>(watch: Tracer, body: () => T): T {
  const before = tracer;
  tracer = watch;
  try {
    return body();
  } finally {
    tracer = before;
  }
}
