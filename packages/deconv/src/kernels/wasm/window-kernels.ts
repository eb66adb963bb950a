/**
 * window-kernels: the largest values of windows, and where they are. Addresses and steps are in bytes, counts in elements. Vector loads
 * may read up to seven floats beyond a row; nothing is written there.
 */
import type { FunctionBuilder, Local } from './assembler.js';
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
  begin(lanes: 4 | 1): void;
  /** The values of a tap are on the stack. */
  take(row: number, column: number): void;
  /** Pushes the results. */
  end(): void;
}

/**
 * Goes over a row of n windows, `step` bytes apart: what this gives writes their results at `to`, which begins at `out`; their first taps
 * are at `src`, rows of taps `tapRow` bytes apart.
 */
function windowsOfRow(f: FunctionBuilder, { rows, columns, apart }: WindowKind, to: Local, taker: Taker) {
  const left = f.local(wasm.i32);
  const from = f.locals(rows, wasm.i32);
  const [low, high] = f.locals(2, wasm.v128);
  const vectors = (stride: 1 | 2) =>
    f.countdown(left, 4, () => {
      taker.begin(4);
      for (const [i, at] of from.entries())
        for (let j = 0; j < columns; j++) {
          const offset = 4 * apart * j;
          if (stride === 1) f.get(at).access(wasm.v128Load, offset);
          else if (apart === 1 && j % 2 === 1) f.get(low).get(high).shuffle([1, 3, 5, 7]);
          else {
            f.get(at).access(wasm.v128Load, offset).set(low);
            f.get(at)
              .access(wasm.v128Load, offset + 16)
              .set(high);
            f.get(low).get(high).shuffle([0, 2, 4, 6]);
          }
          taker.take(i, j);
        }
      f.get(to);
      taker.end();
      f.access(wasm.v128Store);
      for (const at of from) f.add(at, 16 * stride);
      f.add(to, 16);
    });
  return (out: Local, src: Local, n: Local, tapRow: Local, step: Local) => {
    f.get(out).set(to).get(n).set(left).get(src).set(from[0]);
    for (let i = 1; i < rows; i++)
      f.get(from[i - 1])
        .get(tapRow)
        .op(wasm.i32Add)
        .set(from[i]);
    const pointers = [[to, 4] as const, ...from.map((at) => [at, step] as const)];
    inFours(f, left, n, pointers, () => byStep(f, step, vectors));
    f.countdown(left, 1, () => {
      taker.begin(1);
      for (const [i, at] of from.entries())
        for (let j = 0; j < columns; j++) {
          f.get(at).access(wasm.v128Load32Splat, 4 * apart * j);
          taker.take(i, j);
        }
      f.get(to);
      taker.end();
      f.storeLane(0).add(to, 4);
      for (const at of from) f.add(at, step);
    });
  };
}

/** The largest value of each window; NaN wins. */
function largestOfRow(f: FunctionBuilder, kind: WindowKind) {
  const to = f.local(wasm.i32);
  const [v, best, nan] = f.locals(3, wasm.v128);
  return windowsOfRow(f, kind, to, {
    begin: () => f.splat(0).set(nan),
    take: (i, j) => {
      if (i + j === 0) {
        f.set(best);
        return;
      }
      f.set(v);
      // Not less is also what NaN is; so those that come later are noted apart.
      f.get(best).get(v).op(wasm.f32x4Pmax).set(best);
      f.get(v).get(v).op(wasm.f32x4Ne).get(nan).op(wasm.v128Or).set(nan);
    },
    end: () => f.get(best).get(nan).op(wasm.v128Or),
  });
}

/**
 * windowMax: out, outPlane, outRow, src, srcPlane, srcRow, tapRow, step, n0, n1, n.
 * For n0 planes of n1 rows of n windows, all within the input: out = the first of the largest of rows × columns values, `tapRow` and
 * 4 · apart bytes apart; NaN wins. Windows lie `step` bytes apart.
 */
export const windowMax = (kind: WindowKind): RowKernel => ({
  name: `windowMax${nameOf(kind)}`,
  parameters: 11,
  build: (f, [out, outPlane, outRow, src, srcPlane, srcRow, tapRow, step, n0, n1, n]) => {
    const row = largestOfRow(f, kind);
    eachRow(f, [src, out, n0, srcPlane, outPlane, n1, srcRow, outRow], (sRow, oRow) =>
      row(oRow, sRow, n, tapRow, step),
    );
  },
});

/**
 * paddedMax: out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch, height, width, srcRow, tapRow, step, n0, n1, n.
 * As windowMax, but each plane, `height` rows of `width` floats `line` bytes apart, is first copied to `inner`, within a plane of rows
 * `pitch` bytes apart that begins at `padded` and is what windows see; what lies around it stays as it is.
 */
export const paddedMax = (kind: WindowKind): RowKernel => ({
  name: `paddedMax${nameOf(kind)}`,
  parameters: 17,
  build: (f, parameters) => {
    const [out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch] = parameters;
    const [height, width, srcRow, tapRow, step, n0, n1, n] = parameters.slice(9);
    const row = largestOfRow(f, kind);
    const planes = [
      [src, srcPlane],
      [out, outPlane],
    ] as const;
    f.each(n0, planes, (sPlane, oPlane) => {
      copyPlane(f, [sPlane, line, inner, pitch, height, width]);
      const rows = [
        [padded, srcRow],
        [oPlane, outRow],
      ] as const;
      f.each(n1, rows, (sRow, oRow) => row(oRow, sRow, n, tapRow, step));
    });
  },
});

/**
 * paddedArgMax: out, src, srcPlane, line, padded, inner, pitch, height, width, srcRow, tapRow, step, places, first, place, placeRow,
 * placeTap, n0, n1, n. As paddedMax, but out = the place of the first of the largest values, a NaN being larger than all: places[column]
 * + `place`, `placeRow` more from row to row of windows, `placeTap` from row to row of taps, one per float within these; and first[window]
 * where none is larger than −∞. Planes of n1 × n results lie one after the other.
 */
export const paddedArgMax = (kind: WindowKind): RowKernel => ({
  name: `paddedArgMax${nameOf(kind)}`,
  parameters: 20,
  build: (f, parameters) => {
    const [out, src, srcPlane, line, padded, inner, pitch, height, width] = parameters;
    const [srcRow, tapRow, step, places, first, place, placeRow, placeTap, n0, n1, n] = parameters.slice(9);
    const [to, toPlaces, toFirst, bytes, placeOfRow] = f.locals(5, wasm.i32);
    const [v, best, wins, chosen, window, tap] = f.locals(6, wasm.v128);
    const row = windowsOfRow(f, kind, to, {
      begin: (lanes) => {
        const load = lanes === 4 ? wasm.v128Load : wasm.v128Load32Splat;
        f.splat(Number.NEGATIVE_INFINITY).set(best);
        f.get(to).get(toFirst).op(wasm.i32Add).access(load).set(chosen);
        f.get(to).get(toPlaces).op(wasm.i32Add).access(load);
        f.get(placeOfRow).op(wasm.i32x4Splat).op(wasm.i32x4Add).set(window);
      },
      take: (i, j) => {
        f.set(v);
        if (j === 0) {
          if (i > 0) f.get(window).get(placeTap).op(wasm.i32x4Splat).op(wasm.i32x4Add).set(window);
          f.get(window).set(tap);
        } else f.get(tap).integers(kind.apart).op(wasm.i32x4Add).set(tap);
        // Not v ≤ best is: larger, or one of them is NaN; it must not be best.
        f.get(best)
          .get(best)
          .op(wasm.f32x4Eq)
          .get(v)
          .get(best)
          .op(wasm.f32x4Le)
          .op(wasm.v128Andnot)
          .set(wins);
        f.get(v).get(best).get(wins).op(wasm.v128Bitselect).set(best);
        f.get(tap).get(chosen).get(wins).op(wasm.v128Bitselect).set(chosen);
      },
      end: () => f.get(chosen),
    });
    f.get(n).i32(2).op(wasm.i32Shl).set(bytes);
    f.each(n0, [[src, srcPlane]], (sPlane) => {
      copyPlane(f, [sPlane, line, inner, pitch, height, width]);
      f.get(place).set(placeOfRow).get(first).get(out).op(wasm.i32Sub).set(toFirst);
      f.each(n1, [[padded, srcRow]], (sRow) => {
        f.get(places).get(out).op(wasm.i32Sub).set(toPlaces);
        row(out, sRow, n, tapRow, step);
        f.add(out, bytes).add(placeOfRow, placeRow);
      });
    });
  },
});

/** Runs the loop over vectors that is made for steps of one float, or of two, if this is one of them. */
function byStep(f: FunctionBuilder, step: Local, vectors: (stride: 1 | 2) => void): void {
  for (const stride of [1, 2] as const) {
    f.get(step)
      .i32(4 * stride)
      .op(wasm.i32Eq);
    f.if(() => vectors(stride));
  }
}

/**
 * larger: best, bestPlane, bestRow, src, srcPlane, srcRow, step, n0, n1, n.
 * For n0 planes of n1 rows of n floats: `best` becomes the larger of it and the value at `src`; NaN wins.
 */
export const larger: RowKernel = {
  name: 'larger',
  parameters: 10,
  build: (f, [best, bestPlane, bestRow, src, srcPlane, srcRow, step, n0, n1, n]) => {
    const [from, to, left] = f.locals(3, wasm.i32);
    const vectors = (stride: 1 | 2) =>
      f.countdown(left, 4, () => {
        f.get(to).get(from).access(wasm.v128Load);
        if (stride === 2) f.get(from).access(wasm.v128Load, 16).shuffle([0, 2, 4, 6]);
        f.get(to).access(wasm.v128Load).op(wasm.f32x4Max).access(wasm.v128Store);
        f.add(from, 16 * stride).add(to, 16);
      });
    eachRow(f, [src, best, n0, srcPlane, bestPlane, n1, srcRow, bestRow], (sRow, bRow) => {
      f.get(sRow).set(from).get(bRow).set(to).get(n).set(left);
      byStep(f, step, vectors);
      f.countdown(left, 1, () => {
        f.get(to).get(from).access(wasm.f32Load).get(to).access(wasm.f32Load);
        f.op(wasm.f32Max).access(wasm.f32Store).add(from, step).add(to, 4);
      });
    });
  },
};

/**
 * largest: best, chosen, row, src, srcRow, srcStep, places, place, placeRow, n1, n.
 * For n1 rows of n windows: where the value at `src` is larger than the `best` of the window, or the first NaN, it takes its
 * place, and `chosen` becomes places[column] + place, placeRow more from row to row.
 */
export const largest: RowKernel = {
  name: 'largest',
  parameters: 11,
  build: (f, [best, chosen, row, src, srcRow, srcStep, places, place, placeRow, n1, n]) => {
    const [from, at, left, better, column] = f.locals(5, wasm.i32);
    const [v, b, wins] = f.locals(3, wasm.v128);
    const one = f.local(wasm.f32);
    const vectors = (stride: 1 | 2) =>
      f.countdown(left, 4, () => {
        f.get(from).access(wasm.v128Load);
        if (stride === 2) f.get(from).access(wasm.v128Load, 16).shuffle([0, 2, 4, 6]);
        f.set(v).get(best).get(at).op(wasm.i32Add).access(wasm.v128Load).set(b);
        // Not v ≤ b is: larger, or one of them is NaN; it must not be b.
        f.get(b).get(b).op(wasm.f32x4Eq).get(v).get(b).op(wasm.f32x4Le).op(wasm.v128Andnot).set(wins);
        f.get(best)
          .get(at)
          .op(wasm.i32Add)
          .get(v)
          .get(b)
          .get(wins)
          .op(wasm.v128Bitselect)
          .access(wasm.v128Store);
        f.get(chosen).get(at).op(wasm.i32Add).tee(better);
        f.get(column).access(wasm.v128Load).get(place).op(wasm.i32x4Splat).op(wasm.i32x4Add);
        f.get(better).access(wasm.v128Load).get(wins).op(wasm.v128Bitselect).access(wasm.v128Store);
        f.add(from, 16 * stride)
          .add(at, 16)
          .add(column, 16);
      });
    f.countdown(n1, 1, () => {
      f.get(src).set(from).i32(0).set(at).get(places).set(column).get(n).set(left);
      byStep(f, srcStep, vectors);
      f.countdown(left, 1, () => {
        f.get(best).get(at).op(wasm.i32Add).tee(better);
        f.access(wasm.f32Load).tee(one).get(one).op(wasm.f32Eq);
        f.get(from).access(wasm.f32Load).get(one).op(wasm.f32Le).op(wasm.i32Eqz).op(wasm.i32And);
        f.if(() => {
          f.get(better).get(from).access(wasm.f32Load).access(wasm.f32Store);
          f.get(chosen)
            .get(at)
            .op(wasm.i32Add)
            .get(column)
            .access(wasm.i32Load)
            .get(place)
            .op(wasm.i32Add)
            .access(wasm.i32Store);
        });
        f.add(from, srcStep).add(at, 4).add(column, 4);
      });
      f.add(best, row).add(chosen, row).add(src, srcRow).add(place, placeRow);
    });
  },
};
