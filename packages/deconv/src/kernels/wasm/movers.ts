/**
 * movers: the commands that compute nothing: bring rows of the input and of the weight into the form that `gemm` wants. Each takes up
 * to twenty integers and loops over a whole block by itself.
 */

import { range } from '../../shape.js';
import {
  add,
  type Build,
  block,
  branchIf,
  type Code,
  countdown,
  each,
  f32,
  i32,
  type Local,
  type Locals,
  loop,
  memoryFill,
  set,
  shuffle,
  tee,
  vectors,
  when,
} from './assembler.js';
import * as wasm from './opcodes.js';
import { interleave, pairUp } from './stores.js';

/** Of src, dst; n1, src1, dst1; n2, src2, dst2: `body` for each of n1 × n2 rows, with where it begins. */
export const eachRow = (
  locals: Locals,
  [src, dst, n1, src1, dst1, n2, src2, dst2]: readonly Local[],
  body: (src: Local, dst: Local) => Code,
): Code => each(locals, n1, [src, dst], [src1, dst1], (s, d) => each(locals, n2, [s, d], [src2, dst2], body));

/** Copies `left` floats, `step` bytes apart at `from`, to `to`. */
const copyFloats = (to: Local, left: Local, from: Local, step: Local | number) =>
  countdown(left, 1, [to, from, wasm.f32Load(), wasm.f32Store()], add(from, step), add(to, 4));

/** Copies `left` floats by whole vectors. */
const copyVectors = (to: Local, left: Local, from: Local) =>
  vectors(left, [from, to], (offset) => [to, from, wasm.v128Load(offset), wasm.v128Store(offset)]);

/** Of src, line; dst, pitch; height, width: copies `height` rows of `width` floats, so many bytes apart on either side. */
export function copyPlane(locals: Locals, [src, line, dst, pitch, height, width]: readonly Local[]): Code {
  const [from, to, left] = locals(3);
  return each(locals, height, [src, dst], [line, pitch], (sRow, dRow) => [
    [set(from, sRow), set(to, dRow), set(left, width)],
    copyVectors(to, left, from),
    copyFloats(to, left, from, 4),
  ]);
}

/**
 * Does `fours`, which does four of `left` elements as long as there are four. If one to three of n ≥ 4 are left then, they are the last of
 * four that begin among those that are done: the pointers go back by so many of their steps, in bytes, and it is done once more.
 */
export function inFours(
  locals: Locals,
  left: Local,
  n: Local,
  pointers: readonly Local[],
  steps: readonly (Local | number)[],
  fours: Code,
): Code {
  const [back] = locals(1);
  return loop(
    fours,
    when(
      [[left, i32(1), wasm.i32Sub, i32(3), wasm.i32LtU], [n, i32(4), wasm.i32GeS], wasm.i32And],
      [
        pointers.map((pointer, i) => [
          set(back, left, i32(4), wasm.i32Sub, i32(steps[i]), wasm.i32Mul),
          add(pointer, back),
        ]),
        set(left, i32(4)),
        branchIf(1, i32(1)),
      ],
    ),
  );
}

/** Writes so many zeros at `to`, which moves on; `left` counts them. */
const zeros = (to: Local, left: Local, amount: Local) => [
  set(left, amount),
  countdown(left, 1, [to, f32(0), wasm.f32Store()], add(to, 4)),
];

/** Steps by which inputs are split in vectors. */
export const SPLITS = [2, 3, 4, 6, 8, 12, 16] as const;

/** Floats r, r + step, r + 2 step and r + 3 step of a row, as one vector on the stack. */
function every(step: number, r: number, load: (vector: number) => Code): Code {
  const places = range(4).map((i) => r + step * i);
  const [v, lane] = [places.map((place) => place >> 2), places.map((place) => place & 3)];
  if (v[0] === v[1] && v[2] === v[3])
    return [load(v[0]), load(v[2]), shuffle(lane[0], lane[1], 4 + lane[2], 4 + lane[3])];
  const pairs = [0, 2].map((i) => [
    [load(v[i]), load(v[i + 1])],
    shuffle(lane[i], lane[i], 4 + lane[i + 1], 4 + lane[i + 1]),
  ]);
  return [pairs, shuffle(0, 2, 4, 6)];
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
export const split =
  (step: number): Build =>
  (locals, parameters) => {
    const [origin, width, extent, plane] = parameters.slice(8);
    const [at, d, to, left, x] = locals(5);
    const row = locals(step, wasm.v128);
    /** The floats of position `at`, at `d`, each by itself; those that there are not, or all, of a row. */
    const one = (sRow?: Local) => [
      set(to, d),
      range(step).map((r) => [
        set(x, at, i32(r), wasm.i32Add),
        when(
          [x, width, wasm.i32GeU],
          [to, f32(0), wasm.f32Store()],
          sRow && [to, sRow, x, i32(2), wasm.i32Shl, wasm.i32Add, wasm.f32Load(), wasm.f32Store()],
        ),
        add(to, plane),
      ]),
    ];
    const four = (sRow: Local) => [
      set(x, sRow, at, i32(2), wasm.i32Shl, wasm.i32Add),
      row.map((local, v) => set(local, x, wasm.v128Load(16 * v))),
      set(to, d),
      row.map((_, r) => [to, every(step, r, (v) => row[v]), wasm.v128Store(), add(to, plane)]),
    ];
    /** Zeros for the floats that there are not, from one end on, position by position while there are such. */
    const mend = (by: number, wanted: Code) => [
      set(left, extent),
      block(
        countdown(left, 1, branchIf(2, wanted, wasm.i32Eqz), one(), [add(at, by * step), add(d, by * 4)]),
      ),
    ];
    return eachRow(locals, parameters, (sRow, dRow) => [
      [set(at, origin), set(d, dRow), set(left, extent)],
      countdown(
        left,
        1,
        when(
          [
            [at, i32(-BEFORE), wasm.i32GtS],
            [at, width, i32(BEHIND - 4 * step + 1), wasm.i32Add, wasm.i32LtS],
            wasm.i32And,
          ],
          [four(sRow), add(at, 4 * step), add(d, 16), add(left, -3)],
          [one(sRow), add(at, step), add(d, 4)],
        ),
      ),
      [set(at, origin), set(d, dRow)],
      mend(1, [at, i32(0), wasm.i32LtS]),
      // From the last position back.
      set(d, extent, i32(1), wasm.i32Sub, tee(x), i32(2), wasm.i32Shl, dRow, wasm.i32Add),
      set(at, x, i32(step), wasm.i32Mul, origin, wasm.i32Add),
      mend(-1, [at, i32(step - 1), wasm.i32Add, width, wasm.i32GeS]),
    ]);
  };

/**
 * pad: src, dst; n1, src1, dst1; n2, src2, dst2; left, count, step, right.
 * For n1 × n2 rows: `left` zeros, `count` floats of the source `step` bytes apart, `right` zeros. May write up to three
 * floats beyond a row and read as many beyond the source; the next row, or the slack of the buffer, makes that good.
 */
export const pad: Build = (locals, parameters) => {
  const [left, count, step, right] = parameters.slice(8);
  const [s, d, left2] = locals(3);
  const whole = (dRow: Local) => [
    set(left2, count, i32(3), wasm.i32Add),
    copyVectors(d, left2, s),
    // Back from the rounded end to the true one.
    set(d, dRow, left, count, wasm.i32Add, i32(2), wasm.i32Shl, wasm.i32Add),
  ];
  const picked = [
    set(left2, count),
    SPLITS.map((floats) =>
      when(
        [step, i32(4 * floats), wasm.i32Eq],
        countdown(
          left2,
          4,
          [d, every(floats, 0, (v) => [s, wasm.v128Load(16 * v)]), wasm.v128Store()],
          [add(s, 16 * floats), add(d, 16)],
        ),
      ),
    ),
    copyFloats(d, left2, s, step),
  ];
  return eachRow(locals, parameters, (sRow, dRow) => [
    [set(s, sRow), set(d, dRow)],
    zeros(d, left2, left),
    when([step, i32(4), wasm.i32Eq], whole(dRow), picked),
    zeros(d, left2, right),
  ]);
};

/**
 * packB: src, dst, table, k, strips, srcStep, d1, d2.
 * For each strip: the k rows that the table names, NR floats each, one after the other. Vector 1 of a row lies d1 bytes
 * behind vector 0, vectors 2 and 3 d2 behind 0 and 1, so that a strip may be made of short rows.
 */
export const packB =
  (nr: number): Build =>
  (locals, parameters) => {
    const [src, dst, table, k, strips, srcStep, d1, d2] = parameters;
    const [tp, left, row, to, stripBytes] = locals(5);
    const vector = (j: number) => [
      [to, row, j & 1 ? [d1, wasm.i32Add] : [], j & 2 ? [d2, wasm.i32Add] : []],
      [wasm.v128Load(), wasm.v128Store(16 * j)],
    ];
    return [
      set(stripBytes, k, i32(4 * nr), wasm.i32Mul),
      // Four strips at once as long as there are so many: a row is read in stretches that the processor sees coming.
      [4, 1].map((together) =>
        countdown(
          strips,
          together,
          [set(tp, table), set(left, k)],
          countdown(
            left,
            1,
            [set(row, tp, wasm.i32Load(), src, wasm.i32Add), set(to, dst)],
            range(together).map(() => [range(nr / 4).map(vector), add(row, srcStep), add(to, stripBytes)]),
            [add(dst, 4 * nr), add(tp, 4)],
          ),
          range(together).map(() => add(src, srcStep)),
          range(together - 1).map(() => add(dst, stripBytes)),
        ),
      ),
    ];
  };

/**
 * Of w, dst, rowTable, rows, kTable, k: `body` for each of k × rows weights, with the address w + rowTable[row] + kTable[k], byte
 * offsets both; `dst` moves on by a float each time.
 */
export function eachWeight(
  locals: Locals,
  [w, dst, rowTable, rows, kTable, k]: readonly Local[],
  body: (at: Local) => Code,
): Code {
  const [base, rp, left, at] = locals(4);
  return countdown(
    k,
    1,
    set(base, kTable, wasm.i32Load(), w, wasm.i32Add),
    [set(rp, rowTable), set(left, rows)],
    countdown(left, 1, set(at, rp, wasm.i32Load(), base, wasm.i32Add), [body(at), add(rp, 4), add(dst, 4)]),
    add(kTable, 4),
  );
}

/**
 * packA: w, dst, rowTable, rows, kTable, k.
 * One panel: dst[k][r] = w at rowTable[r] + kTable[k] (byte offsets), r < rows.
 */
export const packA: Build = (locals, parameters) =>
  eachWeight(locals, parameters, (at) => [parameters[1], at, wasm.f32Load(), wasm.f32Store()]);

/**
 * turn: src, dst; rows, srcRow; cols, srcCol; dstRow, pad; n1, src1, dst1; n2, src2, dst2.
 * Transposes blocks: for n1 × n2 blocks, dst[col · dstRow + row] = src[row · srcRow + col · srcCol] for rows × cols,
 * with `pad` zero floats behind the rows of each column. Steps in bytes.
 */
export const turn: Build = (locals, parameters) => {
  const [src, dst, rows, srcRow, cols, srcCol, dstRow, padding, ...blocks] = parameters;
  const [sCol, dCol, s, d, leftCols, leftRows, leftChunk, to, from] = locals(9);
  const [quad, spare] = [locals(4, wasm.v128), locals(4, wasm.v128)];
  const startColumn = [set(s, sCol), set(d, dCol), set(leftRows, rows)];
  // The rows of one column, from where s, d and leftRows stand.
  const finishColumn = [copyFloats(d, leftRows, s, srcRow), zeros(d, leftRows, padding)];
  // Sixteen columns are one cache line of each source row: all of it is used while it is there.
  const columns = (chunks: number) => {
    const [a, b] = quad;
    const eachChunk = (body: (offset: number) => Code) => range(chunks).map((chunk) => body(16 * chunk));
    return [
      startColumn,
      countdown(
        leftRows,
        4,
        set(to, d),
        eachChunk((offset) => [
          set(from, s),
          quad.map((row) => [set(row, from, wasm.v128Load(offset)), add(from, srcRow)]),
          pairUp(quad, spare),
          interleave(quad, spare).map((column) => [to, column, wasm.v128Store(), add(to, dstRow)]),
        ]),
        [set(s, from), add(d, 16)],
      ),
      countdown(
        leftRows,
        2,
        set(to, d),
        eachChunk((offset) => [
          set(a, s, wasm.v128Load(offset)),
          set(b, s, srcRow, wasm.i32Add, wasm.v128Load(offset)),
          pairUp([a, b], spare),
          spare
            .slice(0, 2)
            .map((pair) => [0, 1].map((half) => [to, pair, wasm.v128Store64Lane(half), add(to, dstRow)])),
        ]),
        [add(s, srcRow), add(s, srcRow), add(d, 8)],
      ),
      // What is left of each column: at most one row, and the zeros.
      when(
        [rows, i32(1), wasm.i32And, padding, wasm.i32Add],
        [
          [set(from, s), set(to, d), set(leftChunk, i32(4 * chunks))],
          countdown(
            leftChunk,
            1,
            [set(s, from), set(d, to), set(leftRows, rows, i32(1), wasm.i32And)],
            [finishColumn, add(from, 4), add(to, dstRow)],
          ),
        ],
      ),
      set(dCol, dCol, dstRow, i32(4 * chunks), wasm.i32Mul, wasm.i32Add),
      add(sCol, 16 * chunks),
    ];
  };
  return eachRow(locals, [src, dst, ...blocks], (sBlock, dBlock) => [
    [set(sCol, sBlock), set(dCol, dBlock), set(leftCols, cols)],
    when(
      [srcCol, i32(4), wasm.i32Eq],
      [4, 1].map((chunks) => countdown(leftCols, 4 * chunks, columns(chunks))),
    ),
    countdown(leftCols, 1, startColumn, finishColumn, add(sCol, srcCol), add(dCol, dstRow)),
  ]);
};

/**
 * touch: address, rows, row, lines. Reads something from each 64 bytes of rows that lie `row` bytes apart, which brings them into the
 * caches: many at a time, where a product would wait for one after the other.
 */
export const touch: Build = (locals, [at, rows, row, lines]) =>
  each(locals, rows, [at], [row], (begin) =>
    each(locals, lines, [begin], [64], (line) => [line, wasm.i32Load(), wasm.drop]),
  );

/** clear: address, bytes. */
export const clear: Build = (_, [at, bytes]) => [at, i32(0), bytes, memoryFill];
