/**
 * Loops that move values: views read and written, and joining. Where a view is written into by
 * adding and repeats an element (the gradient of a broadcast), the repeated axes are summed first, like any reduction.
 */
import type { OpTable } from '../../../backend.js';
import { type Shape, sizeOf, stridesOf } from '../../../shape.js';
import type { Loop } from './ground.js';
import { sumInto } from './reduce.js';
import { copyView } from './views.js';

/** (x) → the elements of the view. */
export const stridedRead: Loop<OpTable['strided.read']> = (ground, [x], { shape, strides, offset }) => {
  const from = ground.at(x);
  const { storage, at } = ground.result(sizeOf(shape));
  copyView(ground, shape, { at: from + 4 * offset, strides }, { at, strides: stridesOf(shape) });
  return storage;
};

/** True when no two elements of the view coincide, as far as sorting the strides can tell. */
function injective(shape: Shape, strides: readonly number[]): boolean {
  const axes = shape.map((length, axis) => ({ length, step: Math.abs(strides[axis]) }));
  axes.sort((a, b) => a.step - b.step);
  let reach = 0;
  return axes.every(({ length, step }) => {
    if (length > 1 && step <= reach) return false;
    reach += (length - 1) * step;
    return true;
  });
}

/** (x) → an array of `fill` into whose view x is added or set. */
export const stridedWrite: Loop<OpTable['strided.write']> = (ground, [x], view) => {
  const { strides, offset, length, mode, fill } = view;
  const repeats = (axis: number) => strides[axis] === 0;
  let from = ground.at(x);
  let own = stridesOf(view.shape);
  // Written once for all repetitions: their sum, or the last of them.
  const shape = view.shape.map((n, axis) => (repeats(axis) && n > 1 ? 1 : n));
  const size = sizeOf(view.shape);
  if (size > 0 && sizeOf(shape) < size) {
    if (mode === 'add') {
      const sums = ground.residency.room(4 * sizeOf(shape));
      sumInto(ground, from, view.shape, shape, sums);
      [from, own] = [sums, stridesOf(shape)];
    } else
      from += 4 * view.shape.reduce((sum, n, axis) => sum + (repeats(axis) ? (n - 1) * own[axis] : 0), 0);
  }
  // Elements that coincide otherwise, and additions to something, are too rare to be made fast.
  if (!injective(shape, strides) || (mode === 'add' && fill !== 0)) return undefined;
  const { storage, at } = ground.result(length);
  if (sizeOf(shape) < length || size === 0) ground.floats(at, length).fill(fill);
  if (size > 0) copyView(ground, shape, { at: from, strides: own }, { at: at + 4 * offset, strides });
  return storage;
};

/** (a, b, …) → joined along an axis. */
export const concat: Loop<OpTable['concat']> = (ground, inputs, { outer, lengths }) => {
  const row = lengths.reduce((sum, length) => sum + length, 0);
  const places = inputs.map((input) => ground.at(input));
  const { storage, at } = ground.result(outer * row);
  let column = at;
  ground.kernels.shared(storage.length, true, () => {
    for (const [i, length] of lengths.entries()) {
      const [from, to] = [
        { at: places[i], strides: [length, 1] },
        { at: column, strides: [row, 1] },
      ];
      copyView(ground, [outer, length], from, to);
      column += 4 * length;
    }
  });
  return storage;
};
