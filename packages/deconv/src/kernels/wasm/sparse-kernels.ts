/**
 * sparse-kernels: products with a sparse matrix along one axis, for resampling, selection and averages. The table of the
 * matrix has, per output: how many terms, then for each the byte offset of the input from `src` and the weight as a float.
 * Where every output has as many, up to a few, the kernel is made for that many; any number is summed in float64.
 */
import type { Local } from './assembler.js';
import { type Build, locals, type RowKernel } from './row-kernels.js';

/**
 * rows<terms>: out, src, table, n1, n. For n1 outputs: a row of n floats = Σ weight · row of the input.
 */
const rows =
  (terms: number): Build =>
  (f, [out, src, table, n1, n]) => {
    const [to, left, count, entry, column] = locals(f, 5, 'i32');
    const inputs = Array.from({ length: terms }, () => ({ at: f.local('i32'), weight: f.local('v128') }));
    const [v, w, low, high] = locals(f, 4, 'v128');
    const few = () => {
      for (const [t, { at, weight }] of inputs.entries()) {
        f.get(table)
          .access('i32.load', 8 * t + 4)
          .get(src)
          .op('i32.add')
          .set(at);
        f.get(table)
          .access('v128.load32_splat', 8 * t + 8)
          .set(weight);
      }
      f.countdown(left, 1, () => {
        f.get(to);
        for (const [t, { at, weight }] of inputs.entries()) {
          f.get(at).access('v128.load').get(weight).op('f32x4.mul');
          if (t > 0) f.op('f32x4.add');
          f.add(at, 16);
        }
        f.access('v128.store').add(to, 16);
      });
      f.add(table, 8 * terms + 4);
    };
    const many = () => {
      const half = (sum: Local) =>
        f.op('f64x2.promote_low_f32x4').get(w).op('f64x2.mul').get(sum).op('f64x2.add').set(sum);
      f.i32(0).set(column);
      f.countdown(left, 1, () => {
        f.get(table).access('i32.load').set(count).get(table).set(entry).splat(0).tee(low).set(high);
        f.countdown(count, 1, () => {
          f.get(entry).access('f32.load', 8).op('f64.promote_f32').op('f64x2.splat').set(w);
          f.get(entry)
            .access('i32.load', 4)
            .get(src)
            .op('i32.add')
            .get(column)
            .op('i32.add')
            .access('v128.load')
            .tee(v);
          half(low);
          f.get(v).get(v).shuffle([2, 3, 2, 3]);
          half(high);
          f.add(entry, 8);
        });
        f.get(to)
          .get(low)
          .op('f32x4.demote_f64x2_zero')
          .get(high)
          .op('f32x4.demote_f64x2_zero')
          .shuffle([0, 1, 4, 5]);
        f.access('v128.store').add(to, 16).add(column, 16);
      });
      f.get(table)
        .access('i32.load')
        .i32(3)
        .op('i32.shl')
        .i32(4)
        .op('i32.add')
        .get(table)
        .op('i32.add')
        .set(table);
    };
    // Whole vectors: the rows follow each other, so what is written beyond one is written again, and the last has slack.
    f.countdown(n1, 1, () => {
      f.get(out).set(to).get(n).i32(3).op('i32.add').i32(2).op('i32.shr_u').set(left);
      if (terms > 0) few();
      else many();
      f.get(out).get(n).i32(2).op('i32.shl').op('i32.add').set(out);
    });
  };

/** each<terms>: out, src, srcRow, table, n1, n. For n1 rows: n outputs, each a float = Σ weight · input. */
const each =
  (terms: number): Build =>
  (f, [out, src, srcRow, table, n1, n]) => {
    const [left, count, entry] = locals(f, 3, 'i32');
    const [sum] = locals(f, 1, 'f64');
    const load = (at: number) =>
      f.get(entry).access('i32.load', at).get(src).op('i32.add').access('f32.load');
    f.countdown(n1, 1, () => {
      f.get(table).set(entry).get(n).set(left);
      f.countdown(left, 1, () => {
        if (terms > 0) {
          f.get(out);
          for (let t = 0; t < terms; t++) {
            load(8 * t + 4)
              .get(entry)
              .access('f32.load', 8 * t + 8)
              .op('f32.mul');
            if (t > 0) f.op('f32.add');
          }
          f.add(entry, 8 * terms + 4);
        } else {
          f.get(entry).access('i32.load').set(count).add(entry, 4).f32(0).op('f64.promote_f32').set(sum);
          f.countdown(count, 1, () => {
            load(0)
              .op('f64.promote_f32')
              .get(entry)
              .access('f32.load', 4)
              .op('f64.promote_f32')
              .op('f64.mul');
            f.get(sum).op('f64.add').set(sum).add(entry, 8);
          });
          f.get(out).get(sum).op('f32.demote_f64');
        }
        f.access('f32.store').add(out, 4);
      });
      f.add(src, srcRow);
    });
  };

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
