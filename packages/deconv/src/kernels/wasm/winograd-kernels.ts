/**
 * winograd-kernels: the commands that bring weight and input into Winograd's form and results out of it (see winograd.ts for
 * the matrices). A tile has 4 × 4 inputs; lanes run along tiles. The sixteen places of a tile lie in planes of their own, so
 * that the sum over channels is one matrix product per place.
 */

import { TILE_INPUTS } from '../../geometry/winograd.js';
import type { FunctionBuilder, Local } from './assembler.js';

const PLACES = TILE_INPUTS * TILE_INPUTS;

/** Rows of Bᵀ: the two inputs that each place takes, the second less or more than the first. */
const INPUT_ROWS = [
  [0, 2, 'f32x4.sub'],
  [1, 2, 'f32x4.add'],
  [2, 1, 'f32x4.sub'],
  [3, 1, 'f32x4.sub'],
] as const;

/**
 * tileInput: src, dst, table, plane; n1, src1, dst1; n2, src2, dst2; n3.
 * For n1 channels × n2 rows × n3 tiles: plane[4i + j] = (Bᵀ d B)[i][j] of the inputs d[i][j] = src[table[4i + j]]. Takes
 * `vectors` vectors of tiles at a time, and may write beyond a row what is missing to whole ones.
 */
export function tileInput(f: FunctionBuilder, p: readonly Local[], vectors: number): void {
  const [src, dst, table, plane, n1, src1, dst1, n2, src2, dst2, n3] = p;
  const [sRow, dRow, left2, left3, s, d, to, one, other] = Array.from({ length: 9 }, () => f.local('i32'));
  const offsets = Array.from({ length: PLACES }, () => f.local('i32'));
  const sums = Array.from({ length: TILE_INPUTS }, () =>
    Array.from({ length: vectors }, () => f.local('v128')),
  );
  for (const [i, offset] of offsets.entries())
    f.get(table)
      .access('i32.load', 4 * i)
      .set(offset);
  f.countdown(n1, 1, () => {
    f.get(src).set(sRow).get(dst).set(dRow).get(n2).set(left2);
    f.countdown(left2, 1, () => {
      f.get(sRow)
        .set(s)
        .get(dRow)
        .set(d)
        .get(n3)
        .i32(4 * vectors - 1)
        .op('i32.add')
        .set(left3);
      f.countdown(left3, 4 * vectors, () => {
        f.get(d).set(to);
        for (const [a, b, combine] of INPUT_ROWS) {
          for (const [column, sum] of sums.entries()) {
            const place = (row: number) =>
              f
                .get(s)
                .get(offsets[TILE_INPUTS * row + column])
                .op('i32.add');
            place(a).set(one);
            place(b).set(other);
            for (const [v, part] of sum.entries()) {
              f.get(one).access('v128.load', 16 * v);
              f.get(other).access('v128.load', 16 * v);
              f.op(combine).set(part);
            }
          }
          for (const [left, right, join] of INPUT_ROWS) {
            for (let v = 0; v < vectors; v++) {
              f.get(to).get(sums[left][v]).get(sums[right][v]).op(join);
              f.access('v128.store', 16 * v);
            }
            f.add(to, plane);
          }
        }
        f.add(s, 16 * vectors).add(d, 16 * vectors);
      });
      f.add(sRow, src2).add(dRow, dst2);
    });
    f.add(src, src1).add(dst, dst1);
  });
}

/** Aᵀ: the outputs of a line of four products, in the order of places. */
function outputsOf(
  f: FunctionBuilder,
  m: readonly Local[],
  [sum, difference]: readonly Local[],
  to: readonly Local[],
): void {
  f.get(m[1]).get(m[2]).op('f32x4.add').set(sum).get(m[1]).get(m[2]).op('f32x4.sub').set(difference);
  f.get(m[0]).get(sum).op('f32x4.add').set(to[0]);
  if (to.length === 2) {
    f.get(difference).get(m[3]).op('f32x4.add').set(to[1]);
  } else {
    f.get(difference).set(to[1]);
    f.get(sum).get(m[3]).op('f32x4.add').set(to[2]);
  }
}

/**
 * tileOutput: c, plane, flag; n1, c1; n2.
 * For n1 rows × n2 tiles, in place: the first `outputs`² planes become (Aᵀ M A)[i][j], in order, M[i][j] being plane 4i + j.
 * The word at `flag` becomes 1 if one of them is not finite. May touch up to three floats beyond a row.
 */
export function tileOutput(f: FunctionBuilder, p: readonly Local[], outputs: number): void {
  const [c, plane, flag, n1, c1, n2] = p;
  const [at, from, left] = Array.from({ length: 3 }, () => f.local('i32'));
  const vectors = (count: number) => Array.from({ length: count }, () => f.local('v128'));
  const products = vectors(TILE_INPUTS);
  const columns = Array.from({ length: outputs }, () => vectors(TILE_INPUTS));
  const results = vectors(outputs);
  const spare = vectors(2);
  const [bad, kept] = vectors(2);
  const rows = f.local('i32');
  f.splat(0).set(bad);
  // Byte distances between places of a column.
  f.get(plane).i32(TILE_INPUTS).op('i32.mul').set(rows);
  const tiles = () => {
    // kept: the sum of y − y over all results y of these tiles, 0 or NaN.
    f.splat(0).set(kept);
    for (let j = 0; j < TILE_INPUTS; j++) {
      f.get(c).get(at).op('i32.add').get(plane).i32(j).op('i32.mul').op('i32.add').set(from);
      for (const product of products) f.get(from).access('v128.load').set(product).add(from, rows);
      outputsOf(
        f,
        products,
        spare,
        columns.map((column) => column[j]),
      );
    }
    f.get(c).get(at).op('i32.add').set(from);
    for (const column of columns) {
      outputsOf(f, column, spare, results);
      for (const result of results) {
        f.get(from).get(result).access('v128.store').add(from, plane);
        f.get(result).get(result).op('f32x4.sub').get(kept).op('f32x4.add').set(kept);
      }
    }
  };
  f.countdown(n1, 1, () => {
    f.i32(0).set(at).get(n2).set(left);
    f.countdown(left, 4, () => {
      tiles();
      f.get(bad).get(kept).op('f32x4.add').set(bad).add(at, 16);
    });
    // Of the last tiles of a row, only those that are there may raise the flag.
    f.get(left);
    f.if(() => {
      tiles();
      for (const lane of [1, 2, 3]) {
        f.get(left).i32(lane).op('i32.eq');
        f.if(() => {
          f.get(bad).get(kept).splat(0);
          f.shuffle([0, lane > 1 ? 1 : 4, lane > 2 ? 2 : 4, 4])
            .op('f32x4.add')
            .set(bad);
        });
      }
    });
    f.add(c, c1);
  });
  f.get(bad).get(bad).op('f32x4.eq').op('i32x4.all_true').op('i32.eqz');
  f.if(() => f.get(flag).i32(1).access('i32.store'));
}

/** G: a place as taps times ½ or 1. */
const weightRows = (taps: number): readonly (readonly (1 | -1 | 0)[])[] =>
  taps === 3
    ? [
        [1, 0, 0],
        [1, 1, 1],
        [1, -1, 1],
        [0, 0, 1],
      ]
    : [
        [1, 0],
        [1, 1],
        [1, -1],
        [0, 1],
      ];

/**
 * tileWeight: w, dst, rowTable, rows, kTable, k, taps, plane.
 * One panel in each of sixteen planes: plane[4i + j][k][r] = (G g Gᵀ)[i][j] of the taps g[y][x] = w at rowTable[r] +
 * kTable[k] + taps[count · y + x], byte offsets all.
 */
export function tileWeight(f: FunctionBuilder, p: readonly Local[], count: number): void {
  const [w, dst, rowTable, rows, kTable, k, taps, plane] = p;
  const [base, rp, left, at, to] = Array.from({ length: 5 }, () => f.local('i32'));
  const floats = (length: number) => Array.from({ length }, () => f.local('f32'));
  const offsets = Array.from({ length: count * count }, () => f.local('i32'));
  const g = Array.from({ length: count }, () => floats(count));
  const halves = floats(count);
  const matrix = weightRows(count);
  // Σ ± values, halved where there are several.
  const combine = (signs: readonly number[], values: readonly Local[]) => {
    const used = signs.flatMap((sign, i) => (sign === 0 ? [] : [{ sign, value: values[i] }]));
    f.get(used[0].value);
    for (const { sign, value } of used.slice(1)) f.get(value).op(sign > 0 ? 'f32.add' : 'f32.sub');
    if (used.length > 1) f.f32(0.5).op('f32.mul');
  };
  for (const [i, offset] of offsets.entries())
    f.get(taps)
      .access('i32.load', 4 * i)
      .set(offset);
  f.countdown(k, 1, () => {
    f.get(kTable).access('i32.load').get(w).op('i32.add').set(base);
    f.get(rowTable).set(rp).get(rows).set(left);
    f.countdown(left, 1, () => {
      f.get(rp).access('i32.load').get(base).op('i32.add').set(at);
      for (const [i, offset] of offsets.entries()) {
        f.get(at).get(offset).op('i32.add').access('f32.load');
        f.set(g[Math.floor(i / count)][i % count]);
      }
      f.get(dst).set(to);
      for (const signs of matrix) {
        for (const [x, half] of halves.entries()) {
          combine(
            signs,
            g.map((row) => row[x]),
          );
          f.set(half);
        }
        for (const along of matrix) {
          f.get(to);
          combine(along, halves);
          f.access('f32.store').add(to, plane);
        }
      }
      f.add(rp, 4).add(dst, 4);
    });
    f.add(kTable, 4);
  });
}
