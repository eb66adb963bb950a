/**
 * dot-kernel: products of rows by rows, for a matrix that meets few vectors. There the time goes into reading the matrix
 * once, which must then be where it lies: no panel, no turning. Four of its rows at a time pass all the vectors, while
 * they are in the cache.
 */

import { range } from '../../shape.js';
import { add, type Code, countdown, f32, type Local, set, shuffle, splat } from './assembler.js';
import * as wasm from './opcodes.js';
import type { RowKernel } from './row-kernels.js';

/** Rows of the matrix that go together, and floats of each that one turn of the loop takes. */
export const ROWS = 4;
const DEPTH = 8;

/** Adds the four lanes of each sum: leaves them as one vector of `ROWS` lanes on the stack. */
function lanes([a, b, c, d]: readonly Local[], ab: Local, cd: Local): Code {
  const pairs = (x: Local, y: Local) => [
    [x, y, shuffle(0, 4, 2, 6)],
    [x, y, shuffle(1, 5, 3, 7), wasm.f32x4Add],
  ];
  return [
    [set(ab, pairs(a, b)), set(cd, pairs(c, d))],
    [ab, cd, shuffle(0, 1, 4, 5)],
    [ab, cd, shuffle(2, 3, 6, 7), wasm.f32x4Add],
  ];
}

/**
 * dotRows: c, cMatrix, cVector, matrix, matrixRow, rows, vectors, vectorRow, count, k.
 * c[i, j] = Σ matrix[i, ·] · vector[j, ·] for `rows` rows, a multiple of four, of the matrix and `count` vectors, k floats
 * each; `cMatrix` and `cVector` are the steps in c from one i, or one j, to the next.
 */
export const dotRows: RowKernel = [
  'dotRows',
  10,
  (locals, [c, cMatrix, cVector, matrix, matrixRow, rows, vectors, vectorRow, count, k]) => {
    const at = locals(ROWS);
    const [v, row, to, left, inner] = locals(5);
    const sums = locals(ROWS, wasm.v128);
    const more = locals(ROWS, wasm.v128);
    const [x, y] = locals(2, wasm.v128);
    const single = locals(ROWS, wasm.f32);
    /** sum += what is at an address · a vector. */
    const addTo = (sum: Local, at: Local, offset: number, vector: Local) =>
      set(sum, sum, at, wasm.v128Load(offset), vector, wasm.f32x4Mul, wasm.f32x4Add);
    const vector = [
      at.map((place, r) => set(place, r === 0 ? matrix : [at[r - 1], matrixRow, wasm.i32Add])),
      [set(v, row), set(left, k)],
      [...sums, ...more].map((sum) => set(sum, splat(0))),
      // The walk below moves `at`; what the next row starts from is computed anew.
      countdown(
        left,
        DEPTH,
        [set(x, v, wasm.v128Load()), set(y, v, wasm.v128Load(16))],
        at.map((place, r) => [addTo(sums[r], place, 0, x), addTo(more[r], place, 16, y)]),
        [v, ...at].map((place) => add(place, 4 * DEPTH)),
      ),
      sums.map((sum, r) => set(sum, sum, more[r], wasm.f32x4Add)),
      single.map((one) => set(one, f32(0))),
      countdown(
        left,
        1,
        single.map((one, r) =>
          set(one, [at[r], wasm.f32Load(), v, wasm.f32Load(), wasm.f32Mul], one, wasm.f32Add),
        ),
        [v, ...at].map((place) => add(place, 4)),
      ),
      [set(x, lanes(sums, x, y)), set(v, to)],
      single.map((one, r) => [
        [v, x, wasm.v128Store32Lane(r)],
        [v, v, wasm.f32Load(), one, wasm.f32Add, wasm.f32Store()],
        r + 1 < ROWS ? add(v, cMatrix) : [],
      ]),
      [add(row, vectorRow), add(to, cVector)],
    ];
    return countdown(
      rows,
      ROWS,
      [set(row, vectors), set(to, c), set(inner, count)],
      countdown(inner, 1, vector),
      range(ROWS).map(() => [add(matrix, matrixRow), add(c, cMatrix)]),
    );
  },
];
