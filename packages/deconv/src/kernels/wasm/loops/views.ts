/**
 * views: several arrays walked together by one set of axes, each array with its own step along each. Axes are joined
 * where all arrays allow it, so that what is left is few and long; the innermost two go to a kernel, the rest to an
 * odometer. Also the one routine that copies any view into any other.
 */
import { type Shape, sizeOf } from '../../../shape.js';
import { turn } from '../movers.js';
import { copy, type RowKernel } from '../row-kernels.js';
import { inPieces } from '../vector-kernels.js';
import type { Ground } from './ground.js';

/** An axis: how long, and by how many elements each array moves along it. */
export interface Axis {
  readonly length: number;
  readonly steps: readonly number[];
}

/** The axes of a shape for arrays of the given strides, without those of length 1, joined where that is possible. */
export function axesOf(shape: Shape, ...strides: readonly (readonly number[])[]): Axis[] {
  const axes: Axis[] = [];
  for (const [i, length] of shape.entries()) {
    if (length === 1) continue;
    const steps = strides.map((list) => list[i]);
    const outer = axes.at(-1);
    if (outer?.steps.every((step, array) => step === steps[array] * length)) {
      axes[axes.length - 1] = { length: outer.length * length, steps };
    } else axes.push({ length, steps });
  }
  return axes;
}

/** An axis of length 1, for where there is none. */
export const single = (arrays: number): Axis => ({ length: 1, steps: new Array<number>(arrays).fill(0) });

/** Visits every position of the axes in row-major order with the element offsets of the arrays, from `start` on. */
export function walk(
  axes: readonly Axis[],
  start: readonly number[],
  visit: (at: readonly number[]) => void,
  depth = 0,
): void {
  if (depth === axes.length) {
    visit(start);
    return;
  }
  const { length, steps } = axes[depth];
  for (let i = 0; i < length; i++) {
    const at = start.map((first, array) => first + i * steps[array]);
    walk(axes, at, visit, depth + 1);
  }
}

/** See movers.ts. */
const TURN: RowKernel = ['turn', 14, turn];

/** A view of an array in memory: address of its first element, strides in elements. */
export interface View {
  readonly at: number;
  readonly strides: readonly number[];
}

/**
 * Copies a view of this shape into another, in whatever order is best; no two elements of `to` may coincide.
 *
 * Rows contiguous in both: by vectors. One array contiguous along one axis, the other along another: a transposition of
 * those two axes, block by block. Else element by element, along the axis where the target is contiguous if there is one.
 */
export function copyView({ kernels }: Ground, shape: Shape, from: View, to: View): void {
  if (sizeOf(shape) === 0) return;
  let axes = axesOf(shape, from.strides, to.strides);
  /** Takes an axis out; an empty one if there is none. */
  const take = (axis = single(2)): Axis => {
    axes = axes.filter((other) => other !== axis);
    return axis;
  };
  const along = axes.find(({ steps }) => steps[1] === 1);
  const across = axes.find(({ steps }) => steps[0] === 1);
  let copyAt: (at: readonly number[]) => void;
  if (along && across && along !== across) {
    const [row, column] = [take(along), take(across)];
    const block = take(axes.at(-1));
    const sizes = [row.length, 4 * row.steps[0], column.length, 4, 4 * column.steps[1], 0, 1, 0, 0];
    sizes.push(block.length, ...block.steps.map((step) => 4 * step));
    copyAt = ([src, dst]) => kernels.call(TURN, 4 * src, 4 * dst, ...sizes);
  } else {
    const row = take(along ?? across ?? axes.at(-1));
    // As many rows to a call as there are.
    const rows = take(axes.find(({ length }) => axes.every((other) => other.length <= length)));
    const [srcStep, dstStep] = row.steps.map((step) => 4 * step);
    const [srcRow, dstRow] = rows.steps.map((step) => 4 * step);
    copyAt = ([src, dst]) => {
      if (dstStep === 4 && (srcStep === 4 || srcStep === 0)) {
        const pattern = String(srcStep / 4);
        kernels.apply('x', 'x', pattern, [4 * dst, dstRow], rows.length, row.length, [[4 * src, srcRow]]);
        return;
      }
      inPieces(rows.length, row.length, (r, count, c, columns) => {
        const target = [4 * dst + c * dstStep + r * dstRow, dstRow, dstStep] as const;
        const source = [4 * src + c * srcStep + r * srcRow, srcRow, srcStep] as const;
        kernels.call(copy, ...target, ...source, count, columns);
      });
    };
  }
  kernels.shared(sizeOf(shape), true, () => walk(axes, [from.at / 4, to.at / 4], copyAt));
}
