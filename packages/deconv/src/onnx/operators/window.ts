/**
 * window: the sizes of a sliding window from the attributes that pooling operators share: auto_pad, ceil_mode, dilations,
 * kernel_shape, pads, strides. With extent e = d(k−1)+1:
 *
 *     NOTSET      floor or ceil((n + pb + pa − e) / s) + 1; of a ceiling the last window must start before the end padding
 *     SAME_*      ceil(n / s), the padding worked out, the odd one after (UPPER) or before (LOWER)
 *     VALID       floor((n − e) / s) + 1
 */
import { kernelExtent } from '../../geometry/axis.js';
import type { WindowGeometry } from '../../geometry/window.js';
import { type Shape, showShape } from '../../shape.js';
import type { NodeContext } from '../node.js';

const AUTO_PAD = ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'] as const;

/** A window geometry and its padding on both sides; the geometry itself records only that before. */
export interface PaddedWindow {
  readonly geometry: WindowGeometry;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

function list(
  node: NodeContext,
  name: string,
  count: number,
  other: number,
  least: number,
): readonly number[] {
  const values = node.ints(name) ?? [];
  if (values.length === 0) return new Array<number>(count).fill(other);
  if (values.length !== count || values.some((value) => value < least))
    node.refuse(name, `attribute '${name}' must be ${count} integers ≥ ${least}, got [${values.join(', ')}]`);
  return values;
}

/** The window over an input of `shape` (batch, channels, …space); `kernel` replaces the attribute kernel_shape. */
export function windowOf(
  node: NodeContext,
  shape: Shape,
  { kernel }: { readonly kernel?: readonly number[] } = {},
): PaddedWindow {
  const rank = shape.length - 2;
  const kernelSize = kernel ?? node.ints('kernel_shape') ?? [];
  if (rank < 1 || rank > 3 || kernelSize.length !== rank || kernelSize.some((k) => k < 1)) {
    node.refuse(
      'kernel_shape',
      `a window of [${kernelSize.join(', ')}] over an input of shape ${showShape(shape)}: needs 1 to 3 spatial axes and as many sizes ≥ 1`,
    );
  }
  const stride = list(node, 'strides', rank, 1, 1);
  const dilation = list(node, 'dilations', rank, 1, 1);
  const pads = list(node, 'pads', 2 * rank, 0, 0);
  const mode = node.choice('auto_pad', AUTO_PAD, 'NOTSET');
  const ceil = node.flag('ceil_mode', false);
  const [before, after, outputSize]: number[][] = [[], [], []];
  for (let axis = 0; axis < rank; axis++) {
    const [n, s, e] = [shape[axis + 2], stride[axis], kernelExtent(kernelSize[axis], dilation[axis])];
    let [pb, pa] = mode === 'NOTSET' ? [pads[axis], pads[axis + rank]] : [0, 0];
    let out: number;
    if (mode === 'SAME_UPPER' || mode === 'SAME_LOWER') {
      out = Math.ceil(n / s);
      const total = Math.max(0, (out - 1) * s + e - n);
      const less = Math.floor(total / 2);
      [pb, pa] = mode === 'SAME_UPPER' ? [less, total - less] : [total - less, less];
    } else if (ceil && mode === 'NOTSET') {
      out = Math.ceil((n + pb + pa - e) / s) + 1;
      if ((out - 1) * s >= n + pb) out--;
    } else {
      out = Math.floor((n + pb + pa - e) / s) + 1;
    }
    if (!(out >= 1))
      node.refuse(
        'kernel_shape',
        `no window fits along axis ${axis}: it spans ${e}, the padded input ${n + pb + pa}`,
      );
    before.push(pb);
    after.push(pa);
    outputSize.push(out);
  }
  const inputSize = shape.slice(2);
  const geometry = {
    rank,
    batch: shape[0],
    channels: shape[1],
    inputSize,
    outputSize,
    kernelSize: [...kernelSize],
    stride: [...stride],
    dilation: [...dilation],
    padding: before,
  };
  return { geometry, before, after };
}

/** The same windows over an input that was padded beforehand by `amounts`. */
export function overPadded(
  w: WindowGeometry,
  amounts: readonly (readonly [number, number])[],
): WindowGeometry {
  return {
    ...w,
    inputSize: w.inputSize.map((n, axis) => n + amounts[axis][0] + amounts[axis][1]),
    padding: w.padding.map((padding, axis) => padding - amounts[axis][0]),
  };
}

/** Padding with which every window lies wholly inside, and none sticks out. */
export function wholeAmounts(w: WindowGeometry): [number, number][] {
  return w.inputSize.map((n, axis) => {
    const reach =
      (w.outputSize[axis] - 1) * w.stride[axis] + kernelExtent(w.kernelSize[axis], w.dilation[axis]);
    return [w.padding[axis], Math.max(0, reach - n - w.padding[axis])];
  });
}

/** True when every window has a tap inside the input. */
export function allSee(w: WindowGeometry): boolean {
  return w.inputSize.every((n, axis) => {
    const [k, s, d, p] = [w.kernelSize[axis], w.stride[axis], w.dilation[axis], w.padding[axis]];
    for (let q = 0; q < w.outputSize[axis]; q++) {
      const u = Math.max(0, Math.ceil((p - q * s) / d));
      if (u >= k || q * s + u * d - p >= n) return false;
    }
    return true;
  });
}
