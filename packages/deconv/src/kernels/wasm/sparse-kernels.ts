/**
 * sparse-kernels: products with a sparse matrix along one axis, for resampling, selection and averages. The table of the
 * matrix has, per output: how many terms, then for each the byte offset of the input from `src` and the weight as a float.
 * Where every output has as many, up to a few, the kernel is made for that many; any number is summed in float64.
 */

import type { Local } from './assembler.js';
import * as wasm from './opcodes.js';
import type { Build, RowKernel } from './row-kernels.js';

/**
 * rows<terms>: out, src, table, n1, n. For n1 outputs: a row of n floats = Σ weight · row of the input.
 */
const rows =
  (terms: number): Build =>
  (f, [out, src, table, n1, n]) => {
    const [to, left, count, entry, column] = f.locals(5, wasm.i32);
    const inputs = Array.from({ length: terms }, () => ({
      at: f.local(wasm.i32),
      weight: f.local(wasm.v128),
    }));
    const [v, w, low, high] = f.locals(4, wasm.v128);
    const few = () => {
      for (const [t, { at, weight }] of inputs.entries()) {
        f.get(table)
          .access(wasm.i32Load, 8 * t + 4)
          .get(src)
          .op(wasm.i32Add)
          .set(at);
        f.get(table)
          .access(wasm.v128Load32Splat, 8 * t + 8)
          .set(weight);
      }
      f.countdown(left, 1, () => {
        f.get(to);
        for (const [t, { at, weight }] of inputs.entries()) {
          f.get(at).access(wasm.v128Load).get(weight).op(wasm.f32x4Mul);
          if (t > 0) f.op(wasm.f32x4Add);
          f.add(at, 16);
        }
        f.access(wasm.v128Store).add(to, 16);
      });
      f.add(table, 8 * terms + 4);
    };
    const many = () => {
      const half = (sum: Local) =>
        f.op(wasm.f64x2PromoteLowF32x4).get(w).op(wasm.f64x2Mul).get(sum).op(wasm.f64x2Add).set(sum);
      f.i32(0).set(column);
      f.countdown(left, 1, () => {
        f.get(table).access(wasm.i32Load).set(count).get(table).set(entry).splat(0).tee(low).set(high);
        f.countdown(count, 1, () => {
          f.get(entry).access(wasm.f32Load, 8).op(wasm.f64PromoteF32).op(wasm.f64x2Splat).set(w);
          f.get(entry)
            .access(wasm.i32Load, 4)
            .get(src)
            .op(wasm.i32Add)
            .get(column)
            .op(wasm.i32Add)
            .access(wasm.v128Load)
            .tee(v);
          half(low);
          f.get(v).get(v).shuffle([2, 3, 2, 3]);
          half(high);
          f.add(entry, 8);
        });
        f.get(to)
          .get(low)
          .op(wasm.f32x4DemoteF64x2Zero)
          .get(high)
          .op(wasm.f32x4DemoteF64x2Zero)
          .shuffle([0, 1, 4, 5]);
        f.access(wasm.v128Store).add(to, 16).add(column, 16);
      });
      f.get(table)
        .access(wasm.i32Load)
        .i32(3)
        .op(wasm.i32Shl)
        .i32(4)
        .op(wasm.i32Add)
        .get(table)
        .op(wasm.i32Add)
        .set(table);
    };
    // Whole vectors: the rows follow each other, so what is written beyond one is written again, and the last has slack.
    f.countdown(n1, 1, () => {
      f.get(out).set(to).get(n).i32(3).op(wasm.i32Add).i32(2).op(wasm.i32ShrU).set(left);
      if (terms > 0) few();
      else many();
      f.get(out).get(n).i32(2).op(wasm.i32Shl).op(wasm.i32Add).set(out);
    });
  };

/** each<terms>: out, src, srcRow, table, n1, n. For n1 rows: n outputs, each a float = Σ weight · input. */
const each =
  (terms: number): Build =>
  (f, [out, src, srcRow, table, n1, n]) => {
    const [left, count, entry] = f.locals(3, wasm.i32);
    const [sum] = f.locals(1, wasm.f64);
    const load = (at: number) =>
      f.get(entry).access(wasm.i32Load, at).get(src).op(wasm.i32Add).access(wasm.f32Load);
    f.countdown(n1, 1, () => {
      f.get(table).set(entry).get(n).set(left);
      f.countdown(left, 1, () => {
        if (terms > 0) {
          f.get(out);
          for (let t = 0; t < terms; t++) {
            load(8 * t + 4)
              .get(entry)
              .access(wasm.f32Load, 8 * t + 8)
              .op(wasm.f32Mul);
            if (t > 0) f.op(wasm.f32Add);
          }
          f.add(entry, 8 * terms + 4);
        } else {
          f.get(entry).access(wasm.i32Load).set(count).add(entry, 4).f32(0).op(wasm.f64PromoteF32).set(sum);
          f.countdown(count, 1, () => {
            load(0)
              .op(wasm.f64PromoteF32)
              .get(entry)
              .access(wasm.f32Load, 4)
              .op(wasm.f64PromoteF32)
              .op(wasm.f64Mul);
            f.get(sum).op(wasm.f64Add).set(sum).add(entry, 8);
          });
          f.get(out).get(sum).op(wasm.f32DemoteF64);
        }
        f.access(wasm.f32Store).add(out, 4);
      });
      f.add(src, srcRow);
    });
  };

/** repeat<times>: out, src, n1, n. For n1 rows of n floats, one after the other: each float so many times. */
export const repeat = (times: number): RowKernel => ({
  name: `repeat${times}`,
  parameters: 4,
  build: (f, [out, src, n1, n]) => {
    const left = f.local(wasm.i32);
    const [v] = f.locals(1, wasm.v128);
    const lane = (at: number) => Math.floor(at / times) as 0 | 1 | 2 | 3;
    // Rows follow each other on both sides: they are one.
    f.get(n1).get(n).op(wasm.i32Mul).set(left);
    f.countdown(left, 4, () => {
      f.get(src).access(wasm.v128Load).set(v);
      for (let i = 0; i < 4 * times; i += 4) {
        f.get(out).get(v).get(v);
        f.shuffle([lane(i), lane(i + 1), lane(i + 2), lane(i + 3)]).access(wasm.v128Store, 4 * i);
      }
      f.add(src, 16).add(out, 16 * times);
    });
    f.countdown(left, 1, () => {
      for (let i = 0; i < times; i++)
        f.get(out)
          .get(src)
          .access(wasm.f32Load)
          .access(wasm.f32Store, 4 * i);
      f.add(src, 4).add(out, 4 * times);
    });
  },
});

/** Sums along rows, for an axis that is not the last. */
export const sparseRows = (terms: number): RowKernel => ({
  name: `sparseRows${terms}`,
  parameters: 5,
  build: rows(terms),
});

/** Sums of single values, for the last axis. */
export const sparseEach = (terms: number): RowKernel => ({
  name: `sparseEach${terms}`,
  parameters: 6,
  build: each(terms),
});
