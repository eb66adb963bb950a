/**
 * Reductions: the array is walked in the order it lies in memory, its innermost two axes by a kernel. A run of a reduced
 * axis goes into one result, a run of a kept axis into as many; nothing is read twice. Sums are kept in float64 until the
 * end.
 */
import type { OpTable } from '../../../backend.js';
import { broadcastStrides, type Shape, sizeOf, stridesOf } from '../../../shape.js';
import { maxRows, minRows, sumColumns, sumRows } from '../row-kernels.js';
import { CALL, inPieces } from '../vector-kernels.js';
import { doublesAt, type Ground, integersAt, type Loop } from './ground.js';
import { axesOf, single, walk } from './views.js';

/** Columns whose results stay in the first-level cache while the rows pass. */
const COLUMNS = 4096;

/** A piece: addresses of its values and of its results, in elements, its rows and columns, and steps of both from row to row. */
type Visit = (src: number, srcRow: number, to: number, toRow: number, n1: number, n: number) => void;

/**
 * Calls `visit` for pieces of the array, `each` if every column has a result of its own, else every row. Threads share those
 * that go into different results; those that go into the same come one after the other, in the order of the array.
 */
function walkPieces({ kernels }: Ground, shape: Shape, kept: Shape, visitor: (each: boolean) => Visit): void {
  const axes = axesOf(shape, stridesOf(shape), broadcastStrides(kept, shape));
  const row = axes.pop() ?? { length: 1, steps: [1, 1] };
  const rows = axes.pop() ?? single(2);
  const [srcRow, toRow] = rows.steps;
  const [, toColumn] = row.steps;
  const each = toColumn === 1;
  const visit = visitor(each);
  // What goes into other results than the rest.
  const height = each ? rows.length : Math.max(1, Math.floor(CALL / row.length));
  const width = each ? COLUMNS : row.length;
  kernels.shared(sizeOf(shape), false, (part) => {
    for (let top = 0; top < rows.length; top += height)
      for (let left = 0; left < row.length; left += width) {
        const [n1, n] = [Math.min(height, rows.length - top), Math.min(width, row.length - left)];
        const start = [top * srcRow + left, top * toRow + left * toColumn];
        part(() =>
          walk(axes, start, ([src, to]) =>
            inPieces(n1, n, (r, count, c, columns) =>
              visit(src + r * srcRow + c, srcRow, to + r * toRow + c * toColumn, toRow, count, columns),
            ),
          ),
        );
      }
  });
}

/** Sums the floats at `from`, of this shape, into those at `out`, of the shape `kept` with 1 for each axis summed over. */
export function sumInto(ground: Ground, from: number, shape: Shape, kept: Shape, out: number): void {
  const length = sizeOf(kept);
  const sums = ground.residency.room(8 * length);
  doublesAt(ground, sums, length).fill(0);
  walkPieces(ground, shape, kept, (each) => (src, srcRow, to, toRow, n1, n) => {
    const source = [from + 4 * src, 4 * srcRow] as const;
    if (each) ground.kernels.call(sumColumns, sums + 8 * to, ...source, n1, n);
    else ground.kernels.call(sumRows, sums + 8 * to, 8 * toRow, ...source, n1, n);
  });
  ground.floats(out, length).set(doublesAt(ground, sums, length));
}

/** Largest (smallest) values, as {@link sumInto}. */
export function extremeInto(
  ground: Ground,
  which: 'max' | 'min',
  from: number,
  shape: Shape,
  kept: Shape,
  out: number,
): void {
  ground
    .floats(out, sizeOf(kept))
    .fill(which === 'max' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY);
  walkPieces(ground, shape, kept, (each) => (src, srcRow, to, toRow, n1, n) => {
    const source = [from + 4 * src, 4 * srcRow] as const;
    const target = [out + 4 * to, 4 * toRow] as const;
    if (each) ground.kernels.apply(`${which}(a,b)`, 'ab', '11', target, n1, n, [target, source]);
    else ground.kernels.call(which === 'max' ? maxRows : minRows, ...target, ...source, n1, n);
  });
}

type Reduce = Loop<OpTable['reduce']>;

const reducer =
  (
    into: (ground: Ground, from: number, shape: Shape, kept: Shape, out: number, fn: string) => void,
  ): Reduce =>
  (ground, [x], { fn, shape, axes }) => {
    const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
    const from = ground.at(x);
    const { storage, at } = ground.result(sizeOf(kept));
    into(ground, from, shape, kept, at, fn);
    return storage;
  };

/** (x) → summed over the named axes. */
export const reduceSum: Reduce = /* @__PURE__ */ reducer(sumInto);

/** (x) → reduced over the named axes. */
export const reduce: Reduce = /* @__PURE__ */ reducer((ground, from, shape, kept, at, fn) => {
  if (fn === 'sum') sumInto(ground, from, shape, kept, at);
  else extremeInto(ground, fn === 'max' ? 'max' : 'min', from, shape, kept, at);
});

/** (x) → position of the largest value along the axis: the first of equals, a NaN before all. */
export const argMax: Loop<OpTable['argMax']> = (ground, [x], { shape, axis }) => {
  const from = ground.at(x);
  const length = shape[axis];
  const inner = sizeOf(shape.slice(axis + 1));
  const { storage, at } = ground.result(sizeOf(shape.slice(0, axis)) * inner, 'int32');
  findLargest(ground.floats(from, x.length), integersAt(ground, at, storage.length), length, inner);
  return storage;
};

function findLargest(x: Float32Array, out: Int32Array, length: number, inner: number): void {
  out.fill(0);
  if (inner === 1) {
    for (let to = 0, at = 0; to < out.length; to++, at += length) {
      let best = x[at];
      // Not ≤ is: larger, or one of them is NaN, after which there is nothing to look for.
      for (let j = 1; j < length && !Number.isNaN(best); j++) {
        const value = x[at + j];
        if (value <= best) continue;
        best = value;
        out[to] = j;
      }
    }
    return;
  }
  const best = new Float32Array(inner);
  for (let start = 0, to = 0; to < out.length; start += length * inner, to += inner) {
    best.set(x.subarray(start, start + inner));
    for (let j = 1; j < length; j++) {
      for (let i = 0, at = start + j * inner; i < inner; i++, at++) {
        const value = x[at];
        if (!(value <= best[i]) && !Number.isNaN(best[i])) {
          best[i] = value;
          out[to + i] = j;
        }
      }
    }
  }
}
