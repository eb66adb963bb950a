/**
 * sparse-kernels: products with a sparse matrix along one axis, for resampling, selection and averages. The table of the
 * matrix has, per output: how many terms, then for each the byte offset of the input from `src` and the weight as a float.
 * Where every output has as many, up to a few, the kernel is made for that many; any number is summed in float64.
 */

import { range } from '../../shape.js';
import { add, type Build, countdown, f32, i32, type Local, set, shuffle, splat, tee } from './assembler.js';
import * as wasm from './opcodes.js';
import type { RowKernel } from './row-kernels.js';

/**
 * rows<terms>: out, src, table, n1, n. For n1 outputs: a row of n floats = Σ weight · row of the input.
 */
const rows =
  (terms: number): Build =>
  (locals, [out, src, table, n1, n]) => {
    const [to, left, count, entry, column] = locals(5);
    const inputs = range(terms).map(() => [locals(1)[0], locals(1, wasm.v128)[0]] as const);
    const [v, w, low, high] = locals(4, wasm.v128);
    const few = [
      inputs.map(([at, weight], t) => [
        set(at, table, wasm.i32Load(8 * t + 4), src, wasm.i32Add),
        set(weight, table, wasm.v128Load32Splat(8 * t + 8)),
      ]),
      countdown(
        left,
        1,
        to,
        inputs.map(([at, weight], t) => [
          [at, wasm.v128Load(), weight, wasm.f32x4Mul, t > 0 ? wasm.f32x4Add : []],
          add(at, 16),
        ]),
        [wasm.v128Store(), add(to, 16)],
      ),
      add(table, 8 * terms + 4),
    ];
    const half = (sum: Local) => set(sum, wasm.f64x2PromoteLowF32x4, w, wasm.f64x2Mul, sum, wasm.f64x2Add);
    const many = [
      set(column, i32(0)),
      countdown(
        left,
        1,
        [set(count, table, wasm.i32Load()), set(entry, table)],
        set(high, splat(0), tee(low)),
        countdown(
          count,
          1,
          set(w, entry, wasm.f32Load(8), wasm.f64PromoteF32, wasm.f64x2Splat),
          [entry, wasm.i32Load(4), src, wasm.i32Add, column, wasm.i32Add, wasm.v128Load(), tee(v), half(low)],
          [v, v, shuffle(2, 3, 2, 3), half(high)],
          add(entry, 8),
        ),
        [to, low, wasm.f32x4DemoteF64x2Zero, high, wasm.f32x4DemoteF64x2Zero, shuffle(0, 1, 4, 5)],
        [wasm.v128Store(), add(to, 16), add(column, 16)],
      ),
      [table, wasm.i32Load(), i32(3), wasm.i32Shl, i32(4), wasm.i32Add],
      set(table, table, wasm.i32Add),
    ];
    // Whole vectors: the rows follow each other, so what is written beyond one is written again, and the last has slack.
    return countdown(
      n1,
      1,
      [set(to, out), set(left, n, i32(3), wasm.i32Add, i32(2), wasm.i32ShrU)],
      terms > 0 ? few : many,
      set(out, out, n, i32(2), wasm.i32Shl, wasm.i32Add),
    );
  };

/** each<terms>: out, src, srcRow, table, n1, n. For n1 rows: n outputs, each a float = Σ weight · input. */
const each =
  (terms: number): Build =>
  (locals, [out, src, srcRow, table, n1, n]) => {
    const [left, count, entry] = locals(3);
    const [sum] = locals(1, wasm.f64);
    const input = (at: number) => [entry, wasm.i32Load(at), src, wasm.i32Add, wasm.f32Load()];
    const few = [
      out,
      range(terms).map((t) => [
        [input(8 * t + 4), entry, wasm.f32Load(8 * t + 8), wasm.f32Mul],
        t > 0 ? wasm.f32Add : [],
      ]),
      add(entry, 8 * terms + 4),
    ];
    const many = [
      [set(count, entry, wasm.i32Load()), add(entry, 4), set(sum, f32(0), wasm.f64PromoteF32)],
      countdown(
        count,
        1,
        [input(0), wasm.f64PromoteF32, entry, wasm.f32Load(4), wasm.f64PromoteF32, wasm.f64Mul],
        [set(sum, sum, wasm.f64Add), add(entry, 8)],
      ),
      [out, sum, wasm.f32DemoteF64],
    ];
    return countdown(
      n1,
      1,
      [set(entry, table), set(left, n)],
      countdown(left, 1, terms > 0 ? few : many, wasm.f32Store(), add(out, 4)),
      add(src, srcRow),
    );
  };

/** repeat<times>: out, src, n1, n. For n1 rows of n floats, one after the other: each float so many times. */
export const repeat = (times: number): RowKernel => [
  `repeat${times}`,
  4,
  (locals, [out, src, n1, n]) => {
    const [left] = locals(1);
    const [v] = locals(1, wasm.v128);
    const lane = (at: number) => Math.floor(at / times);
    return [
      // Rows follow each other on both sides: they are one.
      set(left, n1, n, wasm.i32Mul),
      countdown(
        left,
        4,
        set(v, src, wasm.v128Load()),
        range(times).map((vector) => {
          const i = 4 * vector;
          return [
            [out, v, v, shuffle(lane(i), lane(i + 1), lane(i + 2), lane(i + 3))],
            wasm.v128Store(4 * i),
          ];
        }),
        [add(src, 16), add(out, 16 * times)],
      ),
      countdown(
        left,
        1,
        range(times).map((i) => [out, src, wasm.f32Load(), wasm.f32Store(4 * i)]),
        [add(src, 4), add(out, 4 * times)],
      ),
    ];
  },
];

/** Sums along rows, for an axis that is not the last. */
export const sparseRows = (terms: number): RowKernel => [`sparseRows${terms}`, 5, rows(terms)];

/** Sums of single values, for the last axis. */
export const sparseEach = (terms: number): RowKernel => [`sparseEach${terms}`, 6, each(terms)];
