/**
 * Windowed kernels: pooling, unfold and fold. All walk the same (window, tap) pairs; `eachTap` is that walk, for 1 to 3
 * spatial axes, in the order of the taps within each window.
 */
import type { OpTable } from '../../backend.js';
import { type WindowGeometry, withinReach } from '../../geometry/window.js';
import { sizeOf } from '../../shape.js';

type Values = ArrayLike<number>;

/**
 * Calls `visit(window, tap, position)` for every tap of every window; position is the flat place in the input plane, or
 * −1 where the tap lies in the padding.
 */
function eachTap(w: WindowGeometry, visit: (window: number, tap: number, position: number) => void): void {
  const windows = sizeOf(w.outputSize);
  const taps = sizeOf(w.kernelSize);
  for (let window = 0; window < windows; window++) {
    for (let tap = 0; tap < taps; tap++) {
      let position = 0;
      let stride = 1;
      let [q, u] = [window, tap];
      for (let axis = w.rank - 1; axis >= 0; axis--) {
        const at =
          (q % w.outputSize[axis]) * w.stride[axis] +
          (u % w.kernelSize[axis]) * w.dilation[axis] -
          w.padding[axis];
        if (at < 0 || at >= w.inputSize[axis]) position = -1;
        else if (position >= 0) position += at * stride;
        stride *= w.inputSize[axis];
        q = Math.floor(q / w.outputSize[axis]);
        u = Math.floor(u / w.kernelSize[axis]);
      }
      visit(window, tap, position);
    }
  }
}

/** (x) → flat position of each window's maximum; the first of equals, a NaN before all. Padding is never chosen. */
export function poolArgMax([x]: readonly Values[], given: OpTable['pool.argMax']): Float64Array {
  const w = withinReach(given);
  const planes = w.batch * w.channels;
  const [from, to] = [sizeOf(w.inputSize), sizeOf(w.outputSize)];
  const out = new Float64Array(planes * to);
  for (let plane = 0; plane < planes; plane++) {
    const chosen = new Int32Array(to).fill(-1);
    eachTap(w, (window, _tap, position) => {
      if (position < 0) return;
      const best = chosen[window] < 0 ? Number.NaN : x[plane * from + chosen[window]];
      const value = x[plane * from + position];
      if (chosen[window] < 0 || value > best || (Number.isNaN(value) && !Number.isNaN(best)))
        chosen[window] = position;
    });
    out.set(chosen, plane * to);
  }
  return out;
}

/** (x) → each window's maximum, found as {@link poolArgMax} does; −∞ where a window sees nothing. */
export function poolMax([x]: readonly Values[], w: OpTable['pool.max']): Float64Array {
  const [from, to] = [sizeOf(w.inputSize), sizeOf(w.outputSize)];
  return poolArgMax([x], w).map((place, i) =>
    place < 0 ? Number.NEGATIVE_INFINITY : x[Math.floor(i / to) * from + place],
  );
}

/** (x, indices) → x[index] per plane. */
export function planeGather(
  [x, indices]: readonly Values[],
  attributes: OpTable['plane.gather'],
): Float64Array {
  const { planes, from, to } = attributes;
  const out = new Float64Array(planes * to);
  for (let plane = 0, i = 0; plane < planes; plane++) {
    for (let j = 0; j < to; j++, i++) out[i] = x[plane * from + indices[i]];
  }
  return out;
}

/** (x, indices) → zeros with x added or set at the indices, per plane. */
export function planeScatter(
  [x, indices]: readonly Values[],
  attributes: OpTable['plane.scatter'],
): Float64Array {
  const { planes, from, to, mode } = attributes;
  const out = new Float64Array(planes * to);
  for (let plane = 0, i = 0; plane < planes; plane++) {
    for (let j = 0; j < from; j++, i++) {
      const at = plane * to + indices[i];
      out[at] = mode === 'add' ? out[at] + x[i] : x[i];
    }
  }
  return out;
}

/**
 * What each window's sum is divided by. With countIncludePad the window clipped to the padded input (a last window of
 * ceilMode may reach beyond even that), else its part inside the input.
 */
function divisors({ window: w, countIncludePad }: OpTable['pool.average']): Float64Array {
  let plane = [1];
  for (let axis = 0; axis < w.rank; axis++) {
    const [n, k, s] = [w.inputSize[axis], w.kernelSize[axis], w.stride[axis]];
    const [d, p] = [w.dilation[axis], w.padding[axis]];
    const [low, high] = countIncludePad ? [-p, n + p] : [0, n];
    const along = Array.from({ length: w.outputSize[axis] }, (_, o) => {
      // Taps u with low ≤ o·s − p + u·d < high.
      const first = Math.max(0, Math.ceil((low - o * s + p) / d));
      const last = Math.min(k - 1, Math.floor((high - 1 - o * s + p) / d));
      return Math.max(0, last - first + 1);
    });
    plane = plane.flatMap((count) => along.map((own) => count * own));
  }
  return Float64Array.from(plane);
}

/** (x) → window means. A window that sees nothing of the input gives 0. */
export function poolAverage([x]: readonly Values[], attributes: OpTable['pool.average']): Float64Array {
  const { window: w } = attributes;
  const [from, to] = [sizeOf(w.inputSize), sizeOf(w.outputSize)];
  const counts = divisors(attributes);
  const out = new Float64Array(w.batch * w.channels * to);
  for (let plane = 0; plane < w.batch * w.channels; plane++) {
    eachTap(withinReach(w), (window, _tap, position) => {
      if (position >= 0) out[plane * to + window] += x[plane * from + position];
    });
    for (let i = 0; i < to; i++) if (counts[i] > 0) out[plane * to + i] /= counts[i];
  }
  return out;
}

/** (y) → the adjoint of {@link poolAverage}: each output's share goes back to the inputs of its window. */
export function poolAverageGrad(
  [y]: readonly Values[],
  attributes: OpTable['pool.averageGrad'],
): Float64Array {
  const { window: w } = attributes;
  const [from, to] = [sizeOf(w.inputSize), sizeOf(w.outputSize)];
  const counts = divisors(attributes);
  const out = new Float64Array(w.batch * w.channels * from);
  for (let plane = 0; plane < w.batch * w.channels; plane++) {
    eachTap(withinReach(w), (window, _tap, position) => {
      if (position >= 0) out[plane * from + position] += y[plane * to + window] / counts[window];
    });
  }
  return out;
}

/** (x) of (N, C, …space) → columns (N, C·|k|, windows): im2col. */
export function unfold([x]: readonly Values[], w: OpTable['unfold']): Float64Array {
  const [from, to, taps] = [sizeOf(w.inputSize), sizeOf(w.outputSize), sizeOf(w.kernelSize)];
  const out = new Float64Array(w.batch * w.channels * taps * to);
  for (let plane = 0; plane < w.batch * w.channels; plane++) {
    eachTap(w, (window, tap, position) => {
      if (position >= 0) out[(plane * taps + tap) * to + window] = x[plane * from + position];
    });
  }
  return out;
}

/** (columns) → (N, C, …space), overlaps added: col2im, the adjoint of {@link unfold}. */
export function fold([columns]: readonly Values[], w: OpTable['fold']): Float64Array {
  const [from, to, taps] = [sizeOf(w.inputSize), sizeOf(w.outputSize), sizeOf(w.kernelSize)];
  const out = new Float64Array(w.batch * w.channels * from);
  for (let plane = 0; plane < w.batch * w.channels; plane++) {
    eachTap(w, (window, tap, position) => {
      if (position >= 0) out[plane * from + position] += columns[(plane * taps + tap) * to + window];
    });
  }
  return out;
}
