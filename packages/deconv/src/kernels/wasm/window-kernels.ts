/**
 * window-kernels: the largest values of windows, and where they are. Addresses and steps are in bytes, counts in elements. Vector loads
 * may read up to seven floats beyond a row; nothing is written there.
 */
import { range } from '../../shape.js';
import {
  add,
  type Code,
  countdown,
  each,
  i32,
  integers,
  type Local,
  type Locals,
  set,
  shuffle,
  splat,
  tee,
  when,
} from './assembler.js';
import { copyPlane, eachRow, inFours } from './movers.js';
import * as wasm from './opcodes.js';
import type { RowKernel } from './row-kernels.js';

/** Taps of windows that {@link windowMax} is made for, at most. */
export const MOST_TAPS = 32;

/** What a kernel for windows of one kind is made for: its taps, and floats from one column of them to the next. */
export interface WindowKind {
  readonly rows: number;
  readonly columns: number;
  readonly apart: number;
}

const nameOf = ({ rows, columns, apart }: WindowKind) => `${rows},${columns},${apart}`;

/** What is done to the values of windows, four windows or one at a time. */
interface Taker {
  /** Before the first tap. */
  begin(lanes: 4 | 1): Code;
  /** The values of a tap are on the stack. */
  take(row: number, column: number): Code;
  /** Pushes the results. */
  readonly end: Code;
}

/**
 * Goes over a row of n windows, `step` bytes apart: what this gives writes their results at `to`, which begins at `out`; their first taps
 * are at `src`, rows of taps `tapRow` bytes apart.
 */
function windowsOfRow(locals: Locals, { rows, columns, apart }: WindowKind, to: Local, taker: Taker) {
  const [left] = locals(1);
  const from = locals(rows);
  const [low, high] = locals(2, wasm.v128);
  /** Takes all taps, whose values `load` pushes. */
  const taps = (load: (at: Local, column: number) => Code) =>
    from.map((at, i) => range(columns).map((j) => [load(at, j), taker.take(i, j)]));
  const vectors = (stride: 1 | 2) =>
    countdown(
      left,
      4,
      taker.begin(4),
      taps((at, j) => {
        const offset = 4 * apart * j;
        if (stride === 1) return [at, wasm.v128Load(offset)];
        if (apart === 1 && j % 2 === 1) return [low, high, shuffle(1, 3, 5, 7)];
        return [
          [set(low, at, wasm.v128Load(offset)), set(high, at, wasm.v128Load(offset + 16))],
          [low, high, shuffle(0, 2, 4, 6)],
        ];
      }),
      [to, taker.end, wasm.v128Store()],
      from.map((at) => add(at, 16 * stride)),
      add(to, 16),
    );
  return (out: Local, src: Local, n: Local, tapRow: Local, step: Local): Code => {
    const pointers = [to, ...from];
    const steps = [4, ...from.map(() => step)];
    return [
      [set(to, out), set(left, n)],
      from.map((at, i) => set(at, i === 0 ? src : [from[i - 1], tapRow, wasm.i32Add])),
      inFours(locals, left, n, pointers, steps, byStep(step, vectors)),
      countdown(
        left,
        1,
        taker.begin(1),
        taps((at, j) => [at, wasm.v128Load32Splat(4 * apart * j)]),
        [to, taker.end, wasm.v128Store32Lane(0), add(to, 4)],
        from.map((at) => add(at, step)),
      ),
    ];
  };
}

/** The largest value of each window; NaN wins. */
function largestOfRow(locals: Locals, kind: WindowKind) {
  const [to] = locals(1);
  const [v, best, nan] = locals(3, wasm.v128);
  return windowsOfRow(locals, kind, to, {
    begin: () => set(nan, splat(0)),
    take: (i, j) =>
      i + j === 0
        ? set(best)
        : [
            set(v),
            // Not less is also what NaN is; so those that come later are noted apart.
            set(best, best, v, wasm.f32x4Pmax),
            set(nan, v, v, wasm.f32x4Ne, nan, wasm.v128Or),
          ],
    end: [best, nan, wasm.v128Or],
  });
}

/**
 * windowMax: out, outPlane, outRow, src, srcPlane, srcRow, tapRow, step, n0, n1, n.
 * For n0 planes of n1 rows of n windows, all within the input: out = the first of the largest of rows × columns values, `tapRow` and
 * 4 · apart bytes apart; NaN wins. Windows lie `step` bytes apart.
 */
export const windowMax = (kind: WindowKind): RowKernel => [
  `windowMax${nameOf(kind)}`,
  11,
  (locals, [out, outPlane, outRow, src, srcPlane, srcRow, tapRow, step, n0, n1, n]) => {
    const row = largestOfRow(locals, kind);
    return eachRow(locals, [src, out, n0, srcPlane, outPlane, n1, srcRow, outRow], (sRow, oRow) =>
      row(oRow, sRow, n, tapRow, step),
    );
  },
];

/**
 * paddedMax: out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch, height, width, srcRow, tapRow, step, n0, n1, n.
 * As windowMax, but each plane, `height` rows of `width` floats `line` bytes apart, is first copied to `inner`, within a plane of rows
 * `pitch` bytes apart that begins at `padded` and is what windows see; what lies around it stays as it is.
 */
export const paddedMax = (kind: WindowKind): RowKernel => [
  `paddedMax${nameOf(kind)}`,
  17,
  (locals, parameters) => {
    const [out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch] = parameters;
    const [height, width, srcRow, tapRow, step, n0, n1, n] = parameters.slice(9);
    const row = largestOfRow(locals, kind);
    return each(locals, n0, [src, out], [srcPlane, outPlane], (sPlane, oPlane) => [
      copyPlane(locals, [sPlane, line, inner, pitch, height, width]),
      each(locals, n1, [padded, oPlane], [srcRow, outRow], (sRow, oRow) => row(oRow, sRow, n, tapRow, step)),
    ]);
  },
];

/** Where v is not at most `best`: larger, or one of them is NaN; it must not be best. */
const better = (v: Local, best: Local): Code => [
  [best, best, wasm.f32x4Eq],
  [v, best, wasm.f32x4Le, wasm.v128Andnot],
];

/**
 * paddedArgMax: out, src, srcPlane, line, padded, inner, pitch, height, width, srcRow, tapRow, step, places, first, place, placeRow,
 * placeTap, n0, n1, n. As paddedMax, but out = the place of the first of the largest values, a NaN being larger than all: places[column]
 * + `place`, `placeRow` more from row to row of windows, `placeTap` from row to row of taps, one per float within these; and first[window]
 * where none is larger than −∞. Planes of n1 × n results lie one after the other.
 */
export const paddedArgMax = (kind: WindowKind): RowKernel => [
  `paddedArgMax${nameOf(kind)}`,
  20,
  (locals, parameters) => {
    const [out, src, srcPlane, line, padded, inner, pitch, height, width] = parameters;
    const [srcRow, tapRow, step, places, first, place, placeRow, placeTap, n0, n1, n] = parameters.slice(9);
    const [to, toPlaces, toFirst, bytes, placeOfRow] = locals(5);
    const [v, best, wins, chosen, window, tap] = locals(6, wasm.v128);
    /** `local` becomes one or the other of two vectors, by which windows have a new best. */
    const choose = (local: Local, v: Local) => set(local, v, local, wins, wasm.v128Bitselect);
    const row = windowsOfRow(locals, kind, to, {
      begin: (lanes) => {
        const load = lanes === 4 ? wasm.v128Load() : wasm.v128Load32Splat();
        return [
          set(best, splat(Number.NEGATIVE_INFINITY)),
          set(chosen, to, toFirst, wasm.i32Add, load),
          [to, toPlaces, wasm.i32Add, load],
          set(window, placeOfRow, wasm.i32x4Splat, wasm.i32x4Add),
        ];
      },
      take: (i, j) => [
        set(v),
        j === 0
          ? [i > 0 ? set(window, window, placeTap, wasm.i32x4Splat, wasm.i32x4Add) : [], set(tap, window)]
          : set(tap, tap, integers(kind.apart), wasm.i32x4Add),
        [set(wins, better(v, best)), choose(best, v), choose(chosen, tap)],
      ],
      end: chosen,
    });
    return [
      set(bytes, n, i32(2), wasm.i32Shl),
      each(locals, n0, [src], [srcPlane], (sPlane) => [
        copyPlane(locals, [sPlane, line, inner, pitch, height, width]),
        [set(placeOfRow, place), set(toFirst, first, out, wasm.i32Sub)],
        each(locals, n1, [padded], [srcRow], (sRow) => [
          set(toPlaces, places, out, wasm.i32Sub),
          row(out, sRow, n, tapRow, step),
          [add(out, bytes), add(placeOfRow, placeRow)],
        ]),
      ]),
    ];
  },
];

/** Does the loop over vectors that is made for steps of one float, or of two, if this is one of them. */
const byStep = (step: Local, vectors: (stride: 1 | 2) => Code): Code =>
  ([1, 2] as const).map((stride) => when([step, i32(4 * stride), wasm.i32Eq], vectors(stride)));

/** Four values from an address on, or every second of eight. */
const strided = (from: Local, stride: 1 | 2): Code => [
  [from, wasm.v128Load()],
  stride === 2 ? [from, wasm.v128Load(16), shuffle(0, 2, 4, 6)] : [],
];

/**
 * larger: best, bestPlane, bestRow, src, srcPlane, srcRow, step, n0, n1, n.
 * For n0 planes of n1 rows of n floats: `best` becomes the larger of it and the value at `src`; NaN wins.
 */
export const larger: RowKernel = [
  'larger',
  10,
  (locals, [best, bestPlane, bestRow, src, srcPlane, srcRow, step, n0, n1, n]) => {
    const [from, to, left] = locals(3);
    const vectors = (stride: 1 | 2) =>
      countdown(
        left,
        4,
        [to, strided(from, stride), to, wasm.v128Load(), wasm.f32x4Max, wasm.v128Store()],
        [add(from, 16 * stride), add(to, 16)],
      );
    return eachRow(locals, [src, best, n0, srcPlane, bestPlane, n1, srcRow, bestRow], (sRow, bRow) => [
      [set(from, sRow), set(to, bRow), set(left, n)],
      byStep(step, vectors),
      countdown(
        left,
        1,
        [to, from, wasm.f32Load(), to, wasm.f32Load(), wasm.f32Max, wasm.f32Store()],
        [add(from, step), add(to, 4)],
      ),
    ]);
  },
];

/**
 * largest: best, chosen, row, src, srcRow, srcStep, places, place, placeRow, n1, n.
 * For n1 rows of n windows: where the value at `src` is larger than the `best` of the window, or the first NaN, it takes its
 * place, and `chosen` becomes places[column] + place, placeRow more from row to row.
 */
export const largest: RowKernel = [
  'largest',
  11,
  (locals, [best, chosen, row, src, srcRow, srcStep, places, place, placeRow, n1, n]) => {
    const [from, at, left, old, column] = locals(5);
    const [v, b, wins] = locals(3, wasm.v128);
    const [one] = locals(1, wasm.f32);
    const bestAt = [best, at, wasm.i32Add];
    const chosenAt = [chosen, at, wasm.i32Add];
    const vectors = (stride: 1 | 2) =>
      countdown(
        left,
        4,
        set(v, strided(from, stride)),
        [set(b, bestAt, wasm.v128Load()), set(wins, better(v, b))],
        [bestAt, v, b, wins, wasm.v128Bitselect, wasm.v128Store()],
        [chosenAt, tee(old), column, wasm.v128Load(), place, wasm.i32x4Splat, wasm.i32x4Add],
        [old, wasm.v128Load(), wins, wasm.v128Bitselect, wasm.v128Store()],
        [add(from, 16 * stride), add(at, 16), add(column, 16)],
      );
    return countdown(
      n1,
      1,
      [set(from, src), set(at, i32(0)), set(column, places), set(left, n)],
      byStep(srcStep, vectors),
      countdown(
        left,
        1,
        when(
          [
            [bestAt, tee(old), wasm.f32Load(), tee(one), one, wasm.f32Eq],
            [from, wasm.f32Load(), one, wasm.f32Le, wasm.i32Eqz, wasm.i32And],
          ],
          [
            [old, from, wasm.f32Load(), wasm.f32Store()],
            [chosenAt, column, wasm.i32Load(), place, wasm.i32Add, wasm.i32Store()],
          ],
        ),
        [add(from, srcStep), add(at, 4), add(column, 4)],
      ),
      [add(best, row), add(chosen, row), add(src, srcRow), add(place, placeRow)],
    );
  },
];
