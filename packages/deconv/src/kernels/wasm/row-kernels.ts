/**
 * row-kernels: sums, extremes, copies at any step: kernels that work on rows, of which one call takes many. Addresses and steps are in bytes, counts in elements. Vector loads may read up to three floats beyond a row;
 * nothing is written there. Sums are kept in float64.
 */

import type { FunctionBuilder, Local } from './assembler.js';
import * as wasm from './opcodes.js';

/** Builds a kernel, given handles of its parameters. */
export type Build = (f: FunctionBuilder, p: readonly Local[]) => void;

/** A kernel written by hand: its name, how many integers it takes, and what builds it. */
export interface RowKernel {
  readonly name: string;
  readonly parameters: number;
  readonly build: Build;
}

/**
 * sumRows: sums, sumsRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float64 at `sums` += the sum of the row.
 */
export const sumRows: RowKernel = {
  name: 'sumRows',
  parameters: 6,
  build: (f, [sums, sumsRow, src, srcRow, n1, n]) => {
    const [at, left] = f.locals(2, wasm.i32);
    const [a, b, v] = f.locals(3, wasm.v128);
    const total = f.local(wasm.f64);
    f.countdown(n1, 1, () => {
      f.get(src).set(at).get(n).set(left).get(sums).access(wasm.f64Load).set(total);
      f.get(n).i32(4).op(wasm.i32GeS);
      f.if(() => {
        f.splat(0).tee(a).set(b);
        f.countdown(left, 4, () => {
          f.get(at)
            .access(wasm.v128Load)
            .tee(v)
            .op(wasm.f64x2PromoteLowF32x4)
            .get(a)
            .op(wasm.f64x2Add)
            .set(a);
          f.get(v).get(v).shuffle([2, 3, 2, 3]).op(wasm.f64x2PromoteLowF32x4).get(b).op(wasm.f64x2Add).set(b);
          f.add(at, 16);
        });
        // Both halves added; the place of the sum carries one from the vector to the scalar side.
        f.get(a).get(b).op(wasm.f64x2Add).tee(a).get(a).get(a).shuffle([2, 3, 2, 3]).op(wasm.f64x2Add).set(a);
        f.get(sums).get(a).storeHalf(0);
        f.get(sums).access(wasm.f64Load).get(total).op(wasm.f64Add).set(total);
      });
      f.countdown(left, 1, () => {
        f.get(at)
          .access(wasm.f32Load)
          .op(wasm.f64PromoteF32)
          .get(total)
          .op(wasm.f64Add)
          .set(total)
          .add(at, 4);
      });
      f.get(sums).get(total).access(wasm.f64Store).add(sums, sumsRow).add(src, srcRow);
    });
  },
};

/**
 * centredDot: sums, x, xRow, y, yRow, m, n, each, rows, length.
 * For `rows` rows of `length` floats: the float64 at `sums` += Σ (x − m)·(y − n), m and n one float per row, `each` bytes
 * apart. Products are rounded to float32, sums are float64.
 */
export const centredDot: RowKernel = {
  name: 'centredDot',
  parameters: 10,
  build: (f, [sums, x, xRow, y, yRow, m, n, each, rows, length]) => {
    const [at, to, left] = f.locals(3, wasm.i32);
    const [a, b, v, m4, n4] = f.locals(5, wasm.v128);
    const total = f.local(wasm.f64);
    f.countdown(rows, 1, () => {
      f.get(x).set(at).get(y).set(to).get(length).set(left).get(sums).access(wasm.f64Load).set(total);
      f.get(m).access(wasm.v128Load32Splat).set(m4).get(n).access(wasm.v128Load32Splat).set(n4);
      f.splat(0).tee(a).set(b);
      f.countdown(left, 4, () => {
        f.get(at).access(wasm.v128Load).get(m4).op(wasm.f32x4Sub);
        f.get(to).access(wasm.v128Load).get(n4).op(wasm.f32x4Sub).op(wasm.f32x4Mul).tee(v);
        f.op(wasm.f64x2PromoteLowF32x4).get(a).op(wasm.f64x2Add).set(a);
        f.get(v).get(v).shuffle([2, 3, 2, 3]).op(wasm.f64x2PromoteLowF32x4).get(b).op(wasm.f64x2Add).set(b);
        f.add(at, 16).add(to, 16);
      });
      // Both halves added; the place of the sum carries one from the vector to the scalar side.
      f.get(a).get(b).op(wasm.f64x2Add).tee(a).get(a).get(a).shuffle([2, 3, 2, 3]).op(wasm.f64x2Add).set(a);
      f.get(sums).get(a).storeHalf(0);
      f.get(sums).access(wasm.f64Load).get(total).op(wasm.f64Add).set(total);
      f.countdown(left, 1, () => {
        f.get(at).access(wasm.f32Load).get(m).access(wasm.f32Load).op(wasm.f32Sub);
        f.get(to).access(wasm.f32Load).get(n).access(wasm.f32Load).op(wasm.f32Sub).op(wasm.f32Mul);
        f.op(wasm.f64PromoteF32).get(total).op(wasm.f64Add).set(total).add(at, 4).add(to, 4);
      });
      f.get(sums).get(total).access(wasm.f64Store).add(sums, 8);
      f.add(x, xRow).add(y, yRow).add(m, each).add(n, each);
    });
  },
};

/**
 * sumColumns: sums, src, srcRow, n1, n.
 * For n1 rows of n floats: the n float64 at `sums` += the row.
 */
export const sumColumns: RowKernel = {
  name: 'sumColumns',
  parameters: 5,
  build: (f, [sums, src, srcRow, n1, n]) => {
    const [at, to, left] = f.locals(3, wasm.i32);
    const v = f.local(wasm.v128);
    f.countdown(n1, 1, () => {
      f.get(src).set(at).get(sums).set(to).get(n).set(left);
      f.countdown(left, 4, () => {
        f.get(at).access(wasm.v128Load).set(v);
        f.get(to).get(v).op(wasm.f64x2PromoteLowF32x4);
        f.get(to).access(wasm.v128Load).op(wasm.f64x2Add).access(wasm.v128Store);
        f.get(to).get(v).get(v).shuffle([2, 3, 2, 3]).op(wasm.f64x2PromoteLowF32x4);
        f.get(to).access(wasm.v128Load, 16).op(wasm.f64x2Add).access(wasm.v128Store, 16);
        f.add(at, 16).add(to, 32);
      });
      f.countdown(left, 1, () => {
        f.get(to).get(at).access(wasm.f32Load).op(wasm.f64PromoteF32);
        f.get(to).access(wasm.f64Load).op(wasm.f64Add).access(wasm.f64Store).add(at, 4).add(to, 8);
      });
      f.add(src, srcRow);
    });
  },
};

/**
 * maxRows, minRows: best, bestRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float at `best` becomes the largest (smallest) of it and the row; NaN wins.
 */
const extremeRows =
  (which: 'max' | 'min'): Build =>
  (f, [best, bestRow, src, srcRow, n1, n]) => {
    const [at, left] = f.locals(2, wasm.i32);
    const v = f.local(wasm.v128);
    const one = f.local(wasm.f32);
    const [four, single] = which === 'max' ? [wasm.f32x4Max, wasm.f32Max] : [wasm.f32x4Min, wasm.f32Min];
    f.countdown(n1, 1, () => {
      f.get(src).set(at).get(n).set(left);
      f.get(best).access(wasm.v128Load32Splat).set(v);
      f.countdown(left, 4, () => {
        f.get(v).get(at).access(wasm.v128Load).op(four).set(v).add(at, 16);
      });
      f.get(v).get(v).get(v).shuffle([2, 3, 0, 1]).op(four).set(v);
      f.get(best).get(v).get(v).get(v).shuffle([1, 0, 3, 2]).op(four).storeLane(0);
      f.get(best).access(wasm.f32Load).set(one);
      f.countdown(left, 1, () => {
        f.get(one).get(at).access(wasm.f32Load).op(single).set(one).add(at, 4);
      });
      f.get(best).get(one).access(wasm.f32Store).add(best, bestRow).add(src, srcRow);
    });
  };

export const maxRows: RowKernel = {
  name: 'maxRows',
  parameters: 6,
  build: (f, p) => extremeRows('max')(f, p),
};

export const minRows: RowKernel = {
  name: 'minRows',
  parameters: 6,
  build: (f, p) => extremeRows('min')(f, p),
};

/**
 * copy, accumulate: dst, dstRow, dstStep, src, srcRow, srcStep, n1, n.
 * For n1 rows of n floats, at any step: dst = src, or dst += src.
 */
const strided =
  (add: boolean): Build =>
  (f, [dst, dstRow, dstStep, src, srcRow, srcStep, n1, n]) => {
    const [from, to, left] = f.locals(3, wasm.i32);
    f.countdown(n1, 1, () => {
      f.get(src).set(from).get(dst).set(to).get(n).set(left);
      f.countdown(left, 1, () => {
        f.get(to).get(from).access(wasm.f32Load);
        if (add) f.get(to).access(wasm.f32Load).op(wasm.f32Add);
        f.access(wasm.f32Store).add(from, srcStep).add(to, dstStep);
      });
      f.add(src, srcRow).add(dst, dstRow);
    });
  };

export const copy: RowKernel = { name: 'copy', parameters: 8, build: (f, p) => strided(false)(f, p) };

export const accumulate: RowKernel = {
  name: 'accumulate',
  parameters: 8,
  build: (f, p) => strided(true)(f, p),
};
