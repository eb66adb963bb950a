/**
 * row-kernels: sums, extremes, copies at any step: kernels that work on rows, of which one call takes many. Addresses and steps are in
 * bytes, counts in elements. Vector loads may read up to three floats beyond a row; nothing is written there. Sums are kept in float64.
 */

import {
  add,
  type Build,
  type Code,
  countdown,
  i32,
  type Local,
  set,
  shuffle,
  splat,
  tee,
  when,
} from './assembler.js';
import * as wasm from './opcodes.js';

/** A kernel written by hand: its name, how many integers it takes, and what builds it. */
export type RowKernel = readonly [name: string, parameters: number, build: Build];

/** Adds the lower two floats of the vector on the stack to a sum of two float64 that the code pushes. */
const promoted = (...sum: readonly Code[]): Code => [wasm.f64x2PromoteLowF32x4, sum, wasm.f64x2Add];

/** The upper two floats, or the upper float64, of a vector in its lower half. */
const upper = (v: Local): Code => [v, v, shuffle(2, 3, 2, 3)];

/** total += both halves of two sums; the place of the sum carries one from the vector to the scalar side. */
const addHalves = (total: Local, sums: Local, a: Local, b: Local): Code => [
  set(a, a, b, wasm.f64x2Add, tee(a), upper(a), wasm.f64x2Add),
  [sums, a, wasm.v128Store64Lane(0)],
  set(total, sums, wasm.f64Load(), total, wasm.f64Add),
];

/**
 * sumRows: sums, sumsRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float64 at `sums` += the sum of the row.
 */
export const sumRows: RowKernel = [
  'sumRows',
  6,
  (locals, [sums, sumsRow, src, srcRow, n1, n]) => {
    const [at, left] = locals(2);
    const [a, b, v] = locals(3, wasm.v128);
    const [total] = locals(1, wasm.f64);
    return countdown(
      n1,
      1,
      [set(at, src), set(left, n), set(total, sums, wasm.f64Load())],
      when(
        [n, i32(4), wasm.i32GeS],
        [
          set(b, splat(0), tee(a)),
          countdown(
            left,
            4,
            set(a, at, wasm.v128Load(), tee(v), promoted(a)),
            set(b, upper(v), promoted(b)),
            add(at, 16),
          ),
          addHalves(total, sums, a, b),
        ],
      ),
      countdown(left, 1, set(total, at, wasm.f32Load(), wasm.f64PromoteF32, total, wasm.f64Add), add(at, 4)),
      [sums, total, wasm.f64Store()],
      [add(sums, sumsRow), add(src, srcRow)],
    );
  },
];

/**
 * centredDot: sums, x, xRow, y, yRow, m, n, each, rows, length.
 * For `rows` rows of `length` floats: the float64 at `sums` += Σ (x − m)·(y − n), m and n one float per row, `each` bytes
 * apart. Products are rounded to float32, sums are float64.
 */
export const centredDot: RowKernel = [
  'centredDot',
  10,
  (locals, [sums, x, xRow, y, yRow, m, n, each, rows, length]) => {
    const [at, to, left] = locals(3);
    const [a, b, v, m4, n4] = locals(5, wasm.v128);
    const [total] = locals(1, wasm.f64);
    return countdown(
      rows,
      1,
      [set(at, x), set(to, y), set(left, length), set(total, sums, wasm.f64Load())],
      [set(m4, m, wasm.v128Load32Splat()), set(n4, n, wasm.v128Load32Splat())],
      set(b, splat(0), tee(a)),
      countdown(
        left,
        4,
        [at, wasm.v128Load(), m4, wasm.f32x4Sub],
        [to, wasm.v128Load(), n4, wasm.f32x4Sub, wasm.f32x4Mul, tee(v)],
        [set(a, promoted(a)), set(b, upper(v), promoted(b))],
        [add(at, 16), add(to, 16)],
      ),
      addHalves(total, sums, a, b),
      countdown(
        left,
        1,
        [at, wasm.f32Load(), m, wasm.f32Load(), wasm.f32Sub],
        [to, wasm.f32Load(), n, wasm.f32Load(), wasm.f32Sub, wasm.f32Mul],
        set(total, wasm.f64PromoteF32, total, wasm.f64Add),
        [add(at, 4), add(to, 4)],
      ),
      [sums, total, wasm.f64Store()],
      [add(sums, 8), add(x, xRow), add(y, yRow), add(m, each), add(n, each)],
    );
  },
];

/**
 * sumColumns: sums, src, srcRow, n1, n.
 * For n1 rows of n floats: the n float64 at `sums` += the row.
 */
export const sumColumns: RowKernel = [
  'sumColumns',
  5,
  (locals, [sums, src, srcRow, n1, n]) => {
    const [at, to, left] = locals(3);
    const [v] = locals(1, wasm.v128);
    return countdown(
      n1,
      1,
      [set(at, src), set(to, sums), set(left, n)],
      countdown(
        left,
        4,
        set(v, at, wasm.v128Load()),
        [to, v, promoted(to, wasm.v128Load()), wasm.v128Store()],
        [to, upper(v), promoted(to, wasm.v128Load(16)), wasm.v128Store(16)],
        [add(at, 16), add(to, 32)],
      ),
      countdown(
        left,
        1,
        [to, at, wasm.f32Load(), wasm.f64PromoteF32, to, wasm.f64Load(), wasm.f64Add, wasm.f64Store()],
        [add(at, 4), add(to, 8)],
      ),
      add(src, srcRow),
    );
  },
];

/**
 * maxRows, minRows: best, bestRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float at `best` becomes the largest (smallest) of it and the row; NaN wins.
 */
const extremeRows =
  (four: number, single: number): Build =>
  (locals, [best, bestRow, src, srcRow, n1, n]) => {
    const [at, left] = locals(2);
    const [v] = locals(1, wasm.v128);
    const [one] = locals(1, wasm.f32);
    return countdown(
      n1,
      1,
      [set(at, src), set(left, n), set(v, best, wasm.v128Load32Splat())],
      countdown(left, 4, set(v, v, at, wasm.v128Load(), four), add(at, 16)),
      set(v, v, v, v, shuffle(2, 3, 0, 1), four),
      [best, v, v, v, shuffle(1, 0, 3, 2), four, wasm.v128Store32Lane(0)],
      set(one, best, wasm.f32Load()),
      countdown(left, 1, set(one, one, at, wasm.f32Load(), single), add(at, 4)),
      [best, one, wasm.f32Store()],
      [add(best, bestRow), add(src, srcRow)],
    );
  };

export const maxRows: RowKernel = ['maxRows', 6, /* @__PURE__ */ extremeRows(wasm.f32x4Max, wasm.f32Max)];

export const minRows: RowKernel = ['minRows', 6, /* @__PURE__ */ extremeRows(wasm.f32x4Min, wasm.f32Min)];

/**
 * copy, accumulate: dst, dstRow, dstStep, src, srcRow, srcStep, n1, n.
 * For n1 rows of n floats, at any step: dst = src, or dst += src.
 */
const strided =
  (operation: (to: Local) => Code): Build =>
  (locals, [dst, dstRow, dstStep, src, srcRow, srcStep, n1, n]) => {
    const [from, to, left] = locals(3);
    return countdown(
      n1,
      1,
      [set(from, src), set(to, dst), set(left, n)],
      countdown(
        left,
        1,
        [to, from, wasm.f32Load(), operation(to), wasm.f32Store()],
        [add(from, srcStep), add(to, dstStep)],
      ),
      [add(src, srcRow), add(dst, dstRow)],
    );
  };

export const copy: RowKernel = ['copy', 8, /* @__PURE__ */ strided(() => [])];

export const accumulate: RowKernel = [
  'accumulate',
  8,
  /* @__PURE__ */ strided((to) => [to, wasm.f32Load(), wasm.f32Add]),
];
