/**
 * window: sizes of the operations that look through a sliding window without a weight: pooling, unfold and fold. The
 * same axis formula as a convolution, plus the ceiling mode of pooling.
 */
import { refuse, show } from '../errors.js';
import { checkShape, type PerAxis, perAxis, type Shape, showShape } from '../shape.js';
import { kernelExtent } from './axis.js';

/** What a sliding window may be asked for. */
export interface WindowOptions {
  /** Window length per axis. Integers ≥ 1. */
  readonly kernelSize: PerAxis;
  /** Step per axis. Integers ≥ 1. Default: kernelSize for pooling, 1 for fold and unfold. */
  readonly stride?: PerAxis | undefined;
  /** Elements added on both sides, per axis; integers ≥ 0. Default 0. */
  readonly padding?: PerAxis | undefined;
  /** Distance between taps; 1 = dense. Default 1. */
  readonly dilation?: PerAxis | undefined;
  /** Round the number of windows up instead of down: a last window may start inside the input and end beyond it. Default false. */
  readonly ceilMode?: boolean | undefined;
}

/** The sizes of one windowed operation, from `input` (batch, channels, …inputSize) to windows (…outputSize). */
export interface WindowGeometry {
  readonly rank: number;
  readonly batch: number;
  readonly channels: number;
  readonly inputSize: readonly number[];
  readonly outputSize: readonly number[];
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly number[];
}

/**
 * The same windows without the taps by which none of them sees an input, but for one: of a window that is mostly padding, which may be
 * of any length, what is left is as long as the input and the way from the first window to the last.
 */
export function withinReach(w: WindowGeometry): WindowGeometry {
  const kept = w.kernelSize.map((k, axis) => {
    const [p, d, way] = [w.padding[axis], w.dilation[axis], (w.outputSize[axis] - 1) * w.stride[axis]];
    const first = Math.max(0, Math.min(k - 1, Math.floor((p - way) / d)));
    const last = Math.max(first, Math.min(k - 1, Math.floor((w.inputSize[axis] - 1 + p) / d)));
    return { count: last - first + 1, padding: p - first * d };
  });
  return { ...w, kernelSize: kept.map(({ count }) => count), padding: kept.map(({ padding }) => padding) };
}

/**
 * Windows along one axis. With ceilMode a window more may fit, but only if it starts inside the input or its left
 * padding: ceil((n + 2p − extent) / s) + 1, less one if (out − 1)·s ≥ n + p (PyTorch's rule).
 */
export function windowAxis(n: number, k: number, s: number, d: number, p: number, ceilMode: boolean): number {
  const span = n + 2 * p - kernelExtent(k, d);
  if (!ceilMode) return Math.floor(span / s) + 1;
  const out = Math.ceil(span / s) + 1;
  return (out - 1) * s >= n + p ? out - 1 : out;
}

/**
 * Checks a windowed operation over (batch, channels, …space) and gives its sizes.
 *
 * @param defaultStride what stride is when it is not given: the kernelSize (pooling) or 1 (fold, unfold)
 */
export function windowGeometry(
  op: string,
  inputShape: Shape,
  options: WindowOptions,
  rank: number,
  defaultStride: 'kernelSize' | 'one',
): WindowGeometry {
  checkShape(op, 'input', inputShape);
  if (inputShape.length !== rank + 2 || rank < 1 || rank > 3) {
    refuse(
      op,
      'input',
      `input must have rank ${rank + 2} (batch, channels, …space), got ${showShape(inputShape)}`,
    );
  }
  if (options?.kernelSize === undefined) refuse(op, 'kernelSize', 'kernelSize is required');
  const kernelSize = perAxis(op, 'kernelSize', options.kernelSize, rank, 1);
  const stride = perAxis(op, 'stride', options.stride ?? (defaultStride === 'one' ? 1 : kernelSize), rank, 1);
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, rank, 1);
  const padding = perAxis(op, 'padding', options.padding ?? 0, rank, 0);
  const ceilMode = options.ceilMode ?? false;
  if (typeof ceilMode !== 'boolean')
    refuse(op, 'ceilMode', `ceilMode must be true or false, got ${show(ceilMode)}`);
  const inputSize = inputShape.slice(2);
  const outputSize = inputSize.map((n, axis) => {
    const [k, s, d, p] = [kernelSize[axis], stride[axis], dilation[axis], padding[axis]];
    const out = n < 1 ? 0 : windowAxis(n, k, s, d, p, ceilMode);
    if (out < 1) {
      refuse(
        op,
        'kernelSize',
        `output size of axis ${axis} would be ${out}, must be ≥ 1: the window spans ${kernelExtent(k, d)} but the padded input is ${n + 2 * p} long`,
      );
    }
    return out;
  });
  return Object.freeze({
    rank,
    batch: inputShape[0],
    channels: inputShape[1],
    inputSize,
    outputSize,
    kernelSize,
    stride,
    dilation,
    padding,
  });
}
