/**
 * adaptive: average pooling told not by its windows but by the size of its result: output o of an axis is the mean of the
 * inputs from floor(o·n / out) to ceil((o + 1)·n / out) − 1. A box of windows is one window per axis, so each axis is a
 * small sparse matrix, applied one after the other; the gradient is its transpose.
 */
import type { AxisMap } from '../backend.js';
import { refuse, show } from '../errors.js';
import { showShape } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { asFloat } from './input.js';
import { mapAxis, reshape } from './layout.js';

/** Size of the result: of all spatial axes, or of each; null keeps an axis as it is. */
export type AdaptiveSize = number | readonly (number | null)[];

/** One size per spatial axis, null where it stays; refuses the rest under `op`'s name. */
export function readAdaptiveSize(
  op: string,
  rank: number,
  outputSize: AdaptiveSize,
): readonly (number | null)[] {
  const list: readonly unknown[] = Array.isArray(outputSize) ? outputSize : new Array(rank).fill(outputSize);
  const fits = (size: unknown) => size === null || (Number.isInteger(size) && (size as number) >= 1);
  if (list.length !== rank || !list.every(fits)) {
    refuse(
      op,
      'outputSize',
      `outputSize must be an integer ≥ 1, or ${rank} of them (null: as it is), got ${show(outputSize)}`,
    );
  }
  return list as readonly (number | null)[];
}

function meanMap(n: number, out: number): AxisMap {
  const start = (o: number) => Math.floor((o * n) / out);
  const end = (o: number) => Math.ceil(((o + 1) * n) / out);
  let taps = 1;
  for (let o = 0; o < out; o++) taps = Math.max(taps, end(o) - start(o));
  const index = new Int32Array(out * taps);
  const weight = new Float64Array(out * taps);
  for (let o = 0; o < out; o++) {
    const [first, length] = [start(o), end(o) - start(o)];
    // Where windows are of different lengths the shorter ones end in taps of weight 0.
    for (let t = 0; t < taps; t++) index[o * taps + t] = t < length ? first + t : first;
    weight.fill(1 / length, o * taps, o * taps + length);
  }
  return { inLength: n, outLength: out, taps, index, weight };
}

function adaptiveAvgPool(op: string, rank: number, x: Tensor, outputSize: AdaptiveSize): Tensor {
  const input = asFloat(op, 'input', x);
  const size = readAdaptiveSize(op, rank, outputSize);
  if (input.rank !== rank + 2 || input.shape.slice(2).includes(0)) {
    refuse(
      op,
      'input',
      `input must be (batch, channels, …${rank} spatial axes ≥ 1), got ${showShape(input.shape)}`,
    );
  }
  const poolAxis = (y: Tensor, out: number | null, axis: number): Tensor => {
    const n = input.shape[axis + 2];
    return out === null || out === n ? y : mapAxis(op, y, axis + 2, meanMap(n, out));
  };
  return scoped(() => {
    // Of nothing, nothing is read: sizes may be as large as they like.
    const output =
      input.size === 0
        ? reshape(
            input,
            input.shape.map((n, at) => size[at - 2] ?? n),
          )
        : size.reduce(poolAxis, input.share());
    tracer?.('adaptiveAvgPool', [input], [output], { size });
    return output;
  });
}

/** {@link adaptiveAvgPool2d} along one axis. */
export function adaptiveAvgPool1d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool('adaptiveAvgPool1d', 1, input, outputSize);
}

/**
 * Means of as many windows as the result is to have pixels; they overlap where the sizes do not divide.
 *
 * @param input (N, C, H, W)
 * @param outputSize a number, or one per axis; null keeps an axis as it is
 * @throws DeconvError for a size below 1, an input of another rank
 * @example
 * ```ts
 * import { adaptiveAvgPool2d, tensor } from 'deconv';
 * const x = tensor([[[[1, 2, 3], [4, 5, 6]]]]);
 * console.log(adaptiveAvgPool2d(x, 1).item()); // 3.5
 * console.log(adaptiveAvgPool2d(x, [null, 2]).data); // Float32Array(4) [ 1.5, 2.5, 4.5, 5.5 ]
 * ```
 */
export function adaptiveAvgPool2d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool('adaptiveAvgPool2d', 2, input, outputSize);
}

/** {@link adaptiveAvgPool2d} over three axes. */
export function adaptiveAvgPool3d(input: Tensor, outputSize: AdaptiveSize): Tensor {
  return adaptiveAvgPool('adaptiveAvgPool3d', 3, input, outputSize);
}
