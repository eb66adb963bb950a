/**
 * movers: the commands that compute nothing: bring rows of the input and of the weight into the form that `gemm` wants. Each takes up
 * to twenty integers and loops over a whole block by itself.
 */

import type { FunctionBuilder, Local } from './assembler.js';
import * as wasm from './opcodes.js';
import { interleave, pairUp } from './stores.js';

/** Of src, dst; n1, src1, dst1; n2, src2, dst2: `body` for each of n1 × n2 rows, with where it begins. */
export function eachRow(
  f: FunctionBuilder,
  [src, dst, n1, src1, dst1, n2, src2, dst2]: readonly Local[],
  body: (src: Local, dst: Local) => void,
): void {
  const outer = [
    [src, src1],
    [dst, dst1],
  ] as const;
  f.each(n1, outer, (s, d) => {
    const inner = [
      [s, src2],
      [d, dst2],
    ] as const;
    f.each(n2, inner, body);
  });
}

/** Of src, line; dst, pitch; height, width: copies `height` rows of `width` floats, so many bytes apart on either side. */
export function copyPlane(
  f: FunctionBuilder,
  [src, line, dst, pitch, height, width]: readonly Local[],
): void {
  const [from, to, left] = f.locals(3, wasm.i32);
  const rows = [
    [src, line],
    [dst, pitch],
  ] as const;
  f.each(height, rows, (sRow, dRow) => {
    f.get(sRow).set(from).get(dRow).set(to).get(width).set(left);
    for (const together of [4, 1])
      f.vectors(left, together, [from, to], (offset) =>
        f.get(to).get(from).access(wasm.v128Load, offset).access(wasm.v128Store, offset),
      );
    f.countdown(left, 1, () =>
      f.get(to).get(from).access(wasm.f32Load).access(wasm.f32Store).add(from, 4).add(to, 4),
    );
  });
}

/**
 * Runs `fours`, which does four of `left` elements as long as there are four. If one to three of n ≥ 4 are left then, they are the last of
 * four that begin among those that are done: the pointers go back by so many of their steps, in bytes, and it runs once more.
 */
export function inFours(
  f: FunctionBuilder,
  left: Local,
  n: Local,
  pointers: readonly (readonly [pointer: Local, step: Local | number])[],
  fours: () => void,
): void {
  const back = f.local(wasm.i32);
  f.loop((again) => {
    fours();
    f.get(left).i32(1).op(wasm.i32Sub).i32(3).op(wasm.i32LtU).get(n).i32(4).op(wasm.i32GeS).op(wasm.i32And);
    f.if(() => {
      for (const [pointer, step] of pointers) {
        f.get(left).i32(4).op(wasm.i32Sub);
        if (typeof step === 'number') f.i32(step);
        else f.get(step);
        f.op(wasm.i32Mul).set(back).add(pointer, back);
      }
      f.i32(4).set(left).i32(1);
      again();
    });
  });
}

/** Writes so many zeros at `d`, which moves on; `left` counts them. */
function zeros(f: FunctionBuilder, d: Local, left: Local, amount: Local): void {
  f.get(amount).set(left);
  f.countdown(left, 1, () => f.get(d).f32(0).access(wasm.f32Store).add(d, 4));
}

/** Copies `left` floats, `step` bytes apart at `s`, to `d`. */
function copyFloats(f: FunctionBuilder, d: Local, left: Local, s: Local, step: Local): void {
  f.countdown(left, 1, () =>
    f.get(d).get(s).access(wasm.f32Load).access(wasm.f32Store).add(s, step).add(d, 4),
  );
}

/** Steps by which inputs are split in vectors. */
export const SPLITS = [2, 3, 4, 6, 8, 12, 16] as const;

/** Floats r, r + step, r + 2 step and r + 3 step of a row, as one vector on the stack. */
function every(f: FunctionBuilder, step: number, r: number, load: (vector: number) => void): void {
  const [v, lane] = [(i: number) => (r + step * i) >> 2, (i: number) => (r + step * i) & 3];
  if (v(0) === v(1) && v(2) === v(3)) {
    load(v(0));
    load(v(2));
    f.shuffle([lane(0), lane(1), 4 + lane(2), 4 + lane(3)]);
    return;
  }
  for (const i of [0, 2]) {
    load(v(i));
    load(v(i + 1));
    f.shuffle([lane(i), lane(i), 4 + lane(i + 1), 4 + lane(i + 1)]);
  }
  f.shuffle([0, 2, 4, 6]);
}

/** Floats before and behind a row of the source that {@link split} may read, and not use. */
export const BEFORE = 64;
export const BEHIND = 16;

/**
 * split<step>: src, dst; n1, src1, dst1; n2, src2, dst2; origin, width, extent, plane.
 * For n1 × n2 rows of `width` floats: position j of the r-th of `step` rows, which lie `plane` bytes apart, becomes float
 * origin + step · j + r of the source, or zero where it has none; `extent` positions. May write up to three floats beyond a
 * row, as pad does.
 */
export function split(f: FunctionBuilder, p: readonly Local[], step: number): void {
  const [origin, width, extent, plane] = p.slice(8);
  const [at, d, to, left, x] = f.locals(5, wasm.i32);
  const row = f.locals(step, wasm.v128);
  /** The floats of position `at`, at `d`, each by itself; those that there are not, or all. */
  const one = (sRow: Local, all: boolean) => {
    f.get(d).set(to);
    for (let r = 0; r < step; r++) {
      f.get(at).i32(r).op(wasm.i32Add).set(x);
      f.get(x).get(width).op(wasm.i32GeU);
      const zero = () => f.get(to).f32(0).access(wasm.f32Store);
      const value = () => {
        f.get(to).get(sRow).get(x).i32(2).op(wasm.i32Shl).op(wasm.i32Add);
        f.access(wasm.f32Load).access(wasm.f32Store);
      };
      if (all) f.if(zero, value);
      else f.if(zero);
      f.add(to, plane);
    }
  };
  const four = (sRow: Local) => {
    f.get(sRow).get(at).i32(2).op(wasm.i32Shl).op(wasm.i32Add).set(x);
    for (const [v, local] of row.entries())
      f.get(x)
        .access(wasm.v128Load, 16 * v)
        .set(local);
    f.get(d).set(to);
    for (let r = 0; r < step; r++) {
      f.get(to);
      every(f, step, r, (v) => f.get(row[v]));
      f.access(wasm.v128Store).add(to, plane);
    }
  };
  /** Zeros for the floats that there are not, from one end on, position by position while there are such. */
  const mend = (sRow: Local, by: number, wanted: () => void) => {
    f.get(extent).set(left);
    f.block((leave) =>
      f.countdown(left, 1, () => {
        wanted();
        f.op(wasm.i32Eqz);
        leave();
        one(sRow, false);
        f.add(at, by * step).add(d, by * 4);
      }),
    );
  };
  eachRow(f, p, (sRow, dRow) => {
    f.get(origin).set(at).get(dRow).set(d).get(extent).set(left);
    f.countdown(left, 1, () => {
      f.get(at).i32(-BEFORE).op(wasm.i32GtS);
      f.get(at)
        .get(width)
        .i32(BEHIND - 4 * step + 1)
        .op(wasm.i32Add)
        .op(wasm.i32LtS)
        .op(wasm.i32And);
      f.if(
        () => {
          four(sRow);
          f.add(at, 4 * step)
            .add(d, 16)
            .add(left, -3);
        },
        () => {
          one(sRow, true);
          f.add(at, step).add(d, 4);
        },
      );
    });
    f.get(origin).set(at).get(dRow).set(d);
    mend(sRow, 1, () => f.get(at).i32(0).op(wasm.i32LtS));
    // From the last position back.
    f.get(extent).i32(1).op(wasm.i32Sub).tee(x).i32(2).op(wasm.i32Shl).get(dRow).op(wasm.i32Add).set(d);
    f.get(x).i32(step).op(wasm.i32Mul).get(origin).op(wasm.i32Add).set(at);
    mend(sRow, -1, () =>
      f
        .get(at)
        .i32(step - 1)
        .op(wasm.i32Add)
        .get(width)
        .op(wasm.i32GeS),
    );
  });
}

/**
 * pad: src, dst; n1, src1, dst1; n2, src2, dst2; left, count, step, right.
 * For n1 × n2 rows: `left` zeros, `count` floats of the source `step` bytes apart, `right` zeros. May write up to three
 * floats beyond a row and read as many beyond the source; the next row, or the slack of the buffer, makes that good.
 */
export function pad(f: FunctionBuilder, p: readonly Local[]): void {
  const [left, count, step, right] = p.slice(8);
  const [s, d, left2] = f.locals(3, wasm.i32);
  eachRow(f, p, (sRow, dRow) => {
    f.get(sRow).set(s).get(dRow).set(d);
    zeros(f, d, left2, left);
    f.get(step).i32(4).op(wasm.i32Eq);
    f.if(
      () => {
        f.get(count).i32(3).op(wasm.i32Add).set(left2);
        for (const vectors of [4, 1])
          f.vectors(left2, vectors, [s, d], (offset) => {
            f.get(d).get(s).access(wasm.v128Load, offset).access(wasm.v128Store, offset);
          });
        // Back from the rounded end to the true one.
        f.get(dRow).get(left).get(count).op(wasm.i32Add).i32(2).op(wasm.i32Shl).op(wasm.i32Add).set(d);
      },
      () => {
        f.get(count).set(left2);
        for (const floats of SPLITS) {
          f.get(step)
            .i32(4 * floats)
            .op(wasm.i32Eq);
          f.if(() =>
            f.countdown(left2, 4, () => {
              f.get(d);
              every(f, floats, 0, (v) => f.get(s).access(wasm.v128Load, 16 * v));
              f.access(wasm.v128Store)
                .add(s, 16 * floats)
                .add(d, 16);
            }),
          );
        }
        copyFloats(f, d, left2, s, step);
      },
    );
    zeros(f, d, left2, right);
  });
}

/**
 * packB: src, dst, table, k, strips, srcStep, d1, d2.
 * For each strip: the k rows that the table names, NR floats each, one after the other. Vector 1 of a row lies d1 bytes
 * behind vector 0, vectors 2 and 3 d2 behind 0 and 1, so that a strip may be made of short rows.
 */
export function packB(f: FunctionBuilder, p: readonly Local[], nr: number): void {
  const [src, dst, table, k, strips, srcStep, d1, d2] = p;
  const [tp, left, row, to, stripBytes] = f.locals(5, wasm.i32);
  f.get(k)
    .i32(4 * nr)
    .op(wasm.i32Mul)
    .set(stripBytes);
  // Four strips at once as long as there are so many: a row is read in stretches that the processor sees coming.
  for (const together of [4, 1]) {
    f.countdown(strips, together, () => {
      f.get(table).set(tp).get(k).set(left);
      f.countdown(left, 1, () => {
        f.get(tp).access(wasm.i32Load).get(src).op(wasm.i32Add).set(row).get(dst).set(to);
        for (let strip = 0; strip < together; strip++) {
          for (let j = 0; j < nr / 4; j++) {
            f.get(to).get(row);
            if (j & 1) f.get(d1).op(wasm.i32Add);
            if (j & 2) f.get(d2).op(wasm.i32Add);
            f.access(wasm.v128Load).access(wasm.v128Store, 16 * j);
          }
          f.add(row, srcStep).add(to, stripBytes);
        }
        f.add(dst, 4 * nr).add(tp, 4);
      });
      for (let strip = 0; strip < together; strip++) f.add(src, srcStep);
      for (let strip = 1; strip < together; strip++) f.add(dst, stripBytes);
    });
  }
}

/**
 * Of w, dst, rowTable, rows, kTable, k: `body` for each of k × rows weights, with the address w + rowTable[row] + kTable[k], byte
 * offsets both; `dst` moves on by a float each time.
 */
export function eachWeight(
  f: FunctionBuilder,
  [w, dst, rowTable, rows, kTable, k]: readonly Local[],
  body: (at: Local) => void,
): void {
  const [base, rp, left, at] = f.locals(4, wasm.i32);
  f.countdown(k, 1, () => {
    f.get(kTable).access(wasm.i32Load).get(w).op(wasm.i32Add).set(base);
    f.get(rowTable).set(rp).get(rows).set(left);
    f.countdown(left, 1, () => {
      f.get(rp).access(wasm.i32Load).get(base).op(wasm.i32Add).set(at);
      body(at);
      f.add(rp, 4).add(dst, 4);
    });
    f.add(kTable, 4);
  });
}

/**
 * packA: w, dst, rowTable, rows, kTable, k.
 * One panel: dst[k][r] = w at rowTable[r] + kTable[k] (byte offsets), r < rows.
 */
export function packA(f: FunctionBuilder, p: readonly Local[]): void {
  eachWeight(f, p, (at) => f.get(p[1]).get(at).access(wasm.f32Load).access(wasm.f32Store));
}

/**
 * turn: src, dst; rows, srcRow; cols, srcCol; dstRow, pad; n1, src1, dst1; n2, src2, dst2.
 * Transposes blocks: for n1 × n2 blocks, dst[col · dstRow + row] = src[row · srcRow + col · srcCol] for rows × cols,
 * with `pad` zero floats behind the rows of each column. Steps in bytes.
 */
export function turn(f: FunctionBuilder, p: readonly Local[]): void {
  const [src, dst, rows, srcRow, cols, srcCol, dstRow, padding, ...blocks] = p;
  const [sCol, dCol, s, d, leftCols, leftRows, leftChunk, to, from] = f.locals(9, wasm.i32);
  const [block, spare] = [f.locals(4, wasm.v128), f.locals(4, wasm.v128)];
  // The rows of one column, from where s, d and leftRows stand.
  const finishColumn = () => {
    copyFloats(f, d, leftRows, s, srcRow);
    zeros(f, d, leftRows, padding);
  };
  // Sixteen columns are one cache line of each source row: all of it is used while it is there.
  const columns = (chunks: number) => {
    f.get(sCol).set(s).get(dCol).set(d).get(rows).set(leftRows);
    f.countdown(leftRows, 4, () => {
      f.get(d).set(to);
      for (let chunk = 0; chunk < chunks; chunk++) {
        f.get(s).set(from);
        for (const row of block)
          f.get(from)
            .access(wasm.v128Load, 16 * chunk)
            .set(row)
            .add(from, srcRow);
        for (const column of interleave(f, block, spare)) {
          f.get(to);
          column().access(wasm.v128Store).add(to, dstRow);
        }
      }
      f.get(from).set(s).add(d, 16);
    });
    f.countdown(leftRows, 2, () => {
      const [a, b] = block;
      f.get(d).set(to);
      for (let chunk = 0; chunk < chunks; chunk++) {
        f.get(s)
          .access(wasm.v128Load, 16 * chunk)
          .set(a);
        f.get(s)
          .get(srcRow)
          .op(wasm.i32Add)
          .access(wasm.v128Load, 16 * chunk)
          .set(b);
        pairUp(f, [a, b], spare);
        for (const pair of spare.slice(0, 2))
          for (const half of [0, 1] as const) f.get(to).get(pair).storeHalf(half).add(to, dstRow);
      }
      f.add(s, srcRow).add(s, srcRow).add(d, 8);
    });
    // What is left of each column: at most one row, and the zeros.
    f.get(rows).i32(1).op(wasm.i32And).get(padding).op(wasm.i32Add);
    f.if(() => {
      f.get(s).set(from).get(d).set(to);
      f.i32(4 * chunks).set(leftChunk);
      f.countdown(leftChunk, 1, () => {
        f.get(from).set(s).get(to).set(d).get(rows).i32(1).op(wasm.i32And).set(leftRows);
        finishColumn();
        f.add(from, 4).add(to, dstRow);
      });
    });
    f.get(dCol)
      .get(dstRow)
      .i32(4 * chunks)
      .op(wasm.i32Mul)
      .op(wasm.i32Add)
      .set(dCol);
    f.add(sCol, 16 * chunks);
  };
  eachRow(f, [src, dst, ...blocks], (sBlock, dBlock) => {
    f.get(sBlock).set(sCol).get(dBlock).set(dCol).get(cols).set(leftCols);
    f.get(srcCol).i32(4).op(wasm.i32Eq);
    f.if(() => {
      f.countdown(leftCols, 16, () => columns(4));
      f.countdown(leftCols, 4, () => columns(1));
    });
    f.countdown(leftCols, 1, () => {
      f.get(sCol).set(s).get(dCol).set(d).get(rows).set(leftRows);
      finishColumn();
      f.add(sCol, srcCol).add(dCol, dstRow);
    });
  });
}

/** clear: address, bytes. */
export function clear(f: FunctionBuilder, p: readonly Local[]): void {
  f.get(p[0]).i32(0).get(p[1]).memoryFill();
}
