/** Kernels that move values: strided views and their adjoint, joining, and sparse maps along one axis. */
import type { OpTable } from '../../backend.js';
import { sizeOf } from '../../shape.js';
import { eachInView } from './elementwise.js';

type Values = ArrayLike<number>;

/** (x) → the elements of the view. */
export function stridedRead([x]: readonly Values[], view: OpTable['strided.read']): Float64Array {
  const out = new Float64Array(sizeOf(view.shape));
  let i = 0;
  eachInView(view.shape, view.strides, view.offset, (at) => {
    out[i++] = x[at];
  });
  return out;
}

/** (x) → an array of `fill` into whose view x is added or set. The adjoint of {@link stridedRead} for fill 0, add. */
export function stridedWrite([x]: readonly Values[], view: OpTable['strided.write']): Float64Array {
  const out = new Float64Array(view.length).fill(view.fill);
  let i = 0;
  eachInView(view.shape, view.strides, view.offset, (at) => {
    out[at] = view.mode === 'add' ? out[at] + x[i] : x[i];
    i++;
  });
  return out;
}

/** (a, b, …) → joined along an axis. */
export function concat(inputs: readonly Values[], { outer, lengths }: OpTable['concat']): Float64Array {
  const out = new Float64Array(outer * lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const [which, length] of lengths.entries()) {
      for (let i = 0; i < length; i++) out[at++] = inputs[which][o * length + i];
    }
  }
  return out;
}

/** (x) of (outer, axis, inner) → out[o] = Σₜ weight[o, t] · x[index[o, t]] along the axis, or the adjoint. */
export function axisMap(
  [x]: readonly Values[],
  { outer, inner, map, transposed }: OpTable['axis.map'],
): Float64Array {
  const { inLength, outLength, taps, index, weight } = map;
  const out = new Float64Array(outer * inner * (transposed ? inLength : outLength));
  for (let block = 0; block < outer; block++) {
    for (let o = 0; o < outLength; o++) {
      for (let t = 0; t < taps; t++) {
        const factor = weight[o * taps + t];
        if (factor === 0) continue;
        const near = (block * inLength + index[o * taps + t]) * inner;
        const far = (block * outLength + o) * inner;
        if (transposed) for (let i = 0; i < inner; i++) out[near + i] += factor * x[far + i];
        else for (let i = 0; i < inner; i++) out[far + i] += factor * x[near + i];
      }
    }
  }
  return out;
}
