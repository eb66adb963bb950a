/**
 * row-kernels: sums, extremes, copies at any step, and the largest of windows: kernels that work on rows, of which one call
 * takes many. Addresses and steps are in bytes, counts in elements. Vector loads may read up to three floats beyond a row;
 * nothing is written there. Sums are kept in float64.
 */
import type { FunctionBuilder, Local, ValueType } from './assembler.js';

/** Builds a kernel, given handles of its parameters. */
export type Build = (f: FunctionBuilder, p: readonly Local[]) => void;

/** A kernel written by hand: its name, how many integers it takes, and what builds it. */
export interface RowKernel {
  readonly name: string;
  readonly parameters: number;
  readonly build: Build;
}

/** Several new locals of a type. */
export const locals = (f: FunctionBuilder, count: number, type: ValueType): Local[] => f.locals(count, type);

/**
 * sumRows: sums, sumsRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float64 at `sums` += the sum of the row.
 */
export const sumRows: RowKernel = {
  name: 'sumRows',
  parameters: 6,
  build: (f, [sums, sumsRow, src, srcRow, n1, n]) => {
    const [at, left] = f.locals(2, 'i32');
    const [a, b, v] = f.locals(3, 'v128');
    const total = f.local('f64');
    f.countdown(n1, 1, () => {
      f.get(src).set(at).get(n).set(left).get(sums).access('f64.load').set(total);
      f.get(n).i32(4).op('i32.ge_s');
      f.if(() => {
        f.splat(0).tee(a).set(b);
        f.countdown(left, 4, () => {
          f.get(at).access('v128.load').tee(v).op('f64x2.promote_low_f32x4').get(a).op('f64x2.add').set(a);
          f.get(v).get(v).shuffle([2, 3, 2, 3]).op('f64x2.promote_low_f32x4').get(b).op('f64x2.add').set(b);
          f.add(at, 16);
        });
        // Both halves added; the place of the sum carries one from the vector to the scalar side.
        f.get(a).get(b).op('f64x2.add').tee(a).get(a).get(a).shuffle([2, 3, 2, 3]).op('f64x2.add').set(a);
        f.get(sums).get(a).storeHalf(0);
        f.get(sums).access('f64.load').get(total).op('f64.add').set(total);
      });
      f.countdown(left, 1, () => {
        f.get(at).access('f32.load').op('f64.promote_f32').get(total).op('f64.add').set(total).add(at, 4);
      });
      f.get(sums).get(total).access('f64.store').add(sums, sumsRow).add(src, srcRow);
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
    const [at, to, left] = f.locals(3, 'i32');
    const [a, b, v, m4, n4] = f.locals(5, 'v128');
    const total = f.local('f64');
    f.countdown(rows, 1, () => {
      f.get(x).set(at).get(y).set(to).get(length).set(left).get(sums).access('f64.load').set(total);
      f.get(m).access('v128.load32_splat').set(m4).get(n).access('v128.load32_splat').set(n4);
      f.splat(0).tee(a).set(b);
      f.countdown(left, 4, () => {
        f.get(at).access('v128.load').get(m4).op('f32x4.sub');
        f.get(to).access('v128.load').get(n4).op('f32x4.sub').op('f32x4.mul').tee(v);
        f.op('f64x2.promote_low_f32x4').get(a).op('f64x2.add').set(a);
        f.get(v).get(v).shuffle([2, 3, 2, 3]).op('f64x2.promote_low_f32x4').get(b).op('f64x2.add').set(b);
        f.add(at, 16).add(to, 16);
      });
      // Both halves added; the place of the sum carries one from the vector to the scalar side.
      f.get(a).get(b).op('f64x2.add').tee(a).get(a).get(a).shuffle([2, 3, 2, 3]).op('f64x2.add').set(a);
      f.get(sums).get(a).storeHalf(0);
      f.get(sums).access('f64.load').get(total).op('f64.add').set(total);
      f.countdown(left, 1, () => {
        f.get(at).access('f32.load').get(m).access('f32.load').op('f32.sub');
        f.get(to).access('f32.load').get(n).access('f32.load').op('f32.sub').op('f32.mul');
        f.op('f64.promote_f32').get(total).op('f64.add').set(total).add(at, 4).add(to, 4);
      });
      f.get(sums).get(total).access('f64.store').add(sums, 8);
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
    const [at, to, left] = f.locals(3, 'i32');
    const v = f.local('v128');
    f.countdown(n1, 1, () => {
      f.get(src).set(at).get(sums).set(to).get(n).set(left);
      f.countdown(left, 4, () => {
        f.get(at).access('v128.load').set(v);
        f.get(to).get(v).op('f64x2.promote_low_f32x4');
        f.get(to).access('v128.load').op('f64x2.add').access('v128.store');
        f.get(to).get(v).get(v).shuffle([2, 3, 2, 3]).op('f64x2.promote_low_f32x4');
        f.get(to).access('v128.load', 16).op('f64x2.add').access('v128.store', 16);
        f.add(at, 16).add(to, 32);
      });
      f.countdown(left, 1, () => {
        f.get(to).get(at).access('f32.load').op('f64.promote_f32');
        f.get(to).access('f64.load').op('f64.add').access('f64.store').add(at, 4).add(to, 8);
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
    const [at, left] = f.locals(2, 'i32');
    const v = f.local('v128');
    const one = f.local('f32');
    f.countdown(n1, 1, () => {
      f.get(src).set(at).get(n).set(left);
      f.get(best).access('v128.load32_splat').set(v);
      f.countdown(left, 4, () => {
        f.get(v).get(at).access('v128.load').op(`f32x4.${which}`).set(v).add(at, 16);
      });
      f.get(v).get(v).get(v).shuffle([2, 3, 0, 1]).op(`f32x4.${which}`).set(v);
      f.get(best).get(v).get(v).get(v).shuffle([1, 0, 3, 2]).op(`f32x4.${which}`).storeLane(0);
      f.get(best).access('f32.load').set(one);
      f.countdown(left, 1, () => {
        f.get(one).get(at).access('f32.load').op(`f32.${which}`).set(one).add(at, 4);
      });
      f.get(best).get(one).access('f32.store').add(best, bestRow).add(src, srcRow);
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
    const [from, to, left] = f.locals(3, 'i32');
    f.countdown(n1, 1, () => {
      f.get(src).set(from).get(dst).set(to).get(n).set(left);
      f.countdown(left, 1, () => {
        f.get(to).get(from).access('f32.load');
        if (add) f.get(to).access('f32.load').op('f32.add');
        f.access('f32.store').add(from, srcStep).add(to, dstStep);
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

/**
 * larger: best, bestRow, src, srcRow, srcStep, n1, n.
 * For n1 rows of n floats: `best` becomes the larger of it and the value at `src`; NaN wins.
 */
export const larger: RowKernel = {
  name: 'larger',
  parameters: 7,
  build: (f, [best, bestRow, src, srcRow, srcStep, n1, n]) => {
    const [from, to, left] = f.locals(3, 'i32');
    const vectors = (step: 4 | 8) =>
      f.countdown(left, 4, () => {
        f.get(to).get(from).access('v128.load');
        if (step === 8) f.get(from).access('v128.load', 16).shuffle([0, 2, 4, 6]);
        f.get(to).access('v128.load').op('f32x4.max').access('v128.store');
        f.add(from, 4 * step).add(to, 16);
      });
    f.countdown(n1, 1, () => {
      f.get(src).set(from).get(best).set(to).get(n).set(left);
      f.get(srcStep).i32(4).op('i32.eq');
      f.if(() => vectors(4));
      f.get(srcStep).i32(8).op('i32.eq');
      f.if(() => vectors(8));
      f.countdown(left, 1, () => {
        f.get(to).get(from).access('f32.load').get(to).access('f32.load').op('f32.max').access('f32.store');
        f.add(from, srcStep).add(to, 4);
      });
      f.add(best, bestRow).add(src, srcRow);
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
    const [from, at, left, better, column] = f.locals(5, 'i32');
    const [v, b, wins] = f.locals(3, 'v128');
    const one = f.local('f32');
    const vectors = (step: 4 | 8) =>
      f.countdown(left, 4, () => {
        f.get(from).access('v128.load');
        if (step === 8) f.get(from).access('v128.load', 16).shuffle([0, 2, 4, 6]);
        f.set(v).get(best).get(at).op('i32.add').access('v128.load').set(b);
        // Not v ≤ b is: larger, or one of them is NaN; it must not be b.
        f.get(b).get(b).op('f32x4.eq').get(v).get(b).op('f32x4.le').op('v128.andnot').set(wins);
        f.get(best).get(at).op('i32.add').get(v).get(b).get(wins).op('v128.bitselect').access('v128.store');
        f.get(chosen).get(at).op('i32.add').tee(better);
        f.get(column).access('v128.load').get(place).op('i32x4.splat').op('i32x4.add');
        f.get(better).access('v128.load').get(wins).op('v128.bitselect').access('v128.store');
        f.add(from, 4 * step)
          .add(at, 16)
          .add(column, 16);
      });
    f.countdown(n1, 1, () => {
      f.get(src).set(from).i32(0).set(at).get(places).set(column).get(n).set(left);
      f.get(srcStep).i32(4).op('i32.eq');
      f.if(() => vectors(4));
      f.get(srcStep).i32(8).op('i32.eq');
      f.if(() => vectors(8));
      f.countdown(left, 1, () => {
        f.get(best).get(at).op('i32.add').tee(better);
        f.access('f32.load').tee(one).get(one).op('f32.eq');
        f.get(from).access('f32.load').get(one).op('f32.le').op('i32.eqz').op('i32.and');
        f.if(() => {
          f.get(better).get(from).access('f32.load').access('f32.store');
          f.get(chosen)
            .get(at)
            .op('i32.add')
            .get(column)
            .access('i32.load')
            .get(place)
            .op('i32.add')
            .access('i32.store');
        });
        f.add(from, srcStep).add(at, 4).add(column, 4);
      });
      f.add(best, row).add(chosen, row).add(src, srcRow).add(place, placeRow);
    });
  },
};
