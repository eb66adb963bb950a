/**
 * dot-kernel: products of rows by rows, for a matrix that meets few vectors. There the time goes into reading the matrix
 * once, which must then be where it lies: no panel, no turning. Four of its rows at a time pass all the vectors, while
 * they are in the cache.
 */

import type { FunctionBuilder, Local } from './assembler.js';
import * as wasm from './opcodes.js';
import type { RowKernel } from './row-kernels.js';

/** Rows of the matrix that go together, and floats of each that one turn of the loop takes. */
export const ROWS = 4;
const DEPTH = 8;
const LANES = [0, 1, 2, 3] as const;

/** Adds the four lanes of each sum: leaves them as one vector of `ROWS` lanes on the stack. */
function lanes(f: FunctionBuilder, sums: readonly Local[], scratch: readonly Local[]): void {
  const [ab, cd] = scratch;
  const [a, b, c, d] = sums;
  const pairs = (x: Local, y: Local) =>
    f.get(x).get(y).shuffle([0, 4, 2, 6]).get(x).get(y).shuffle([1, 5, 3, 7]).op(wasm.f32x4Add);
  pairs(a, b).set(ab);
  pairs(c, d).set(cd);
  f.get(ab).get(cd).shuffle([0, 1, 4, 5]).get(ab).get(cd).shuffle([2, 3, 6, 7]).op(wasm.f32x4Add);
}

/**
 * dotRows: c, cMatrix, cVector, matrix, matrixRow, rows, vectors, vectorRow, count, k.
 * c[i, j] = Σ matrix[i, ·] · vector[j, ·] for `rows` rows, a multiple of four, of the matrix and `count` vectors, k floats
 * each; `cMatrix` and `cVector` are the steps in c from one i, or one j, to the next.
 */
export const dotRows: RowKernel = {
  name: 'dotRows',
  parameters: 10,
  build: (f, [c, cMatrix, cVector, matrix, matrixRow, rows, vectors, vectorRow, count, k]) => {
    const at = f.locals(ROWS, wasm.i32);
    const [v, row, to, left, inner] = f.locals(5, wasm.i32);
    const sums = f.locals(ROWS, wasm.v128);
    const more = f.locals(ROWS, wasm.v128);
    const [x, y] = f.locals(2, wasm.v128);
    const single = f.locals(ROWS, wasm.f32);
    f.countdown(rows, ROWS, () => {
      f.get(vectors).set(row).get(c).set(to).get(count).set(inner);
      f.countdown(inner, 1, () => {
        for (let r = 0; r < ROWS; r++) {
          if (r === 0) f.get(matrix).set(at[0]);
          else
            f.get(at[r - 1])
              .get(matrixRow)
              .op(wasm.i32Add)
              .set(at[r]);
        }
        f.get(row).set(v).get(k).set(left);
        for (const sum of [...sums, ...more]) f.splat(0).set(sum);
        // The walk below moves `at`; what the next row starts from is computed anew.
        f.countdown(left, DEPTH, () => {
          f.get(v).access(wasm.v128Load).set(x).get(v).access(wasm.v128Load, 16).set(y);
          for (let r = 0; r < ROWS; r++) {
            f.get(sums[r])
              .get(at[r])
              .access(wasm.v128Load)
              .get(x)
              .op(wasm.f32x4Mul)
              .op(wasm.f32x4Add)
              .set(sums[r]);
            f.get(more[r])
              .get(at[r])
              .access(wasm.v128Load, 16)
              .get(y)
              .op(wasm.f32x4Mul)
              .op(wasm.f32x4Add)
              .set(more[r]);
          }
          for (const place of [v, ...at]) f.add(place, 4 * DEPTH);
        });
        for (let r = 0; r < ROWS; r++) f.get(sums[r]).get(more[r]).op(wasm.f32x4Add).set(sums[r]);
        for (const one of single) f.f32(0).set(one);
        f.countdown(left, 1, () => {
          for (let r = 0; r < ROWS; r++) {
            f.get(at[r]).access(wasm.f32Load).get(v).access(wasm.f32Load).op(wasm.f32Mul);
            f.get(single[r]).op(wasm.f32Add).set(single[r]);
          }
          for (const place of [v, ...at]) f.add(place, 4);
        });
        lanes(f, sums, [x, y]);
        f.set(x);
        f.get(to).set(v);
        for (const r of LANES) {
          f.get(v).get(x).storeLane(r);
          f.get(v).get(v).access(wasm.f32Load).get(single[r]).op(wasm.f32Add).access(wasm.f32Store);
          if (r + 1 < ROWS) f.add(v, cMatrix);
        }
        f.add(row, vectorRow).add(to, cVector);
      });
      for (let r = 0; r < ROWS; r++) f.add(matrix, matrixRow).add(c, cMatrix);
    });
  },
};
