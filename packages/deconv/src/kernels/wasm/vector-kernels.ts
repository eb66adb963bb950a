/**
 * vector-kernels: the kernels of everything that is no convolution, each compiled when it is first wanted, into a module
 * of its own over the same linear memory. All take addresses, byte steps and counts, and work on rows, so that one call
 * does much; a call should do no more than some ten thousand elements all the same, since V8 replaces its baseline code
 * between calls only.
 *
 * Vector loads may read up to three floats beyond a row; every block of the heap has the slack for it. Nothing is
 * written beyond a row, but for `sparseRows`. Sums are taken in float64.
 */
import { type FunctionBuilder, type Local, ModuleBuilder, type ValueType } from './assembler.js';
import { buildFormula, formulaParameters } from './formula.js';
import type { Heap } from './heap.js';
import { turn } from './movers.js';
import { webAssembly } from './platform.js';

type Kernel = (...values: number[]) => void;
type Build = (f: FunctionBuilder, p: readonly Local[]) => void;

/** Elements of one call. */
export const CALL = 16_384;

const locals = (f: FunctionBuilder, count: number, type: ValueType) =>
  Array.from({ length: count }, () => f.local(type));

/**
 * sumRows: sums, sumsRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float64 at `sums` += the sum of the row.
 */
const sumRows: Build = (f, [sums, sumsRow, src, srcRow, n1, n]) => {
  const [at, left] = locals(f, 2, 'i32');
  const [a, b, v] = locals(f, 3, 'v128');
  const [total] = locals(f, 1, 'f64');
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
};

/**
 * sumColumns: sums, src, srcRow, n1, n.
 * For n1 rows of n floats: the n float64 at `sums` += the row.
 */
const sumColumns: Build = (f, [sums, src, srcRow, n1, n]) => {
  const [at, to, left] = locals(f, 3, 'i32');
  const [v] = locals(f, 1, 'v128');
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
};

/**
 * maxRows, minRows: best, bestRow, src, srcRow, n1, n.
 * For n1 rows of n floats: the float at `best` becomes the largest (smallest) of it and the row; NaN wins.
 */
const extremeRows =
  (which: 'max' | 'min'): Build =>
  (f, [best, bestRow, src, srcRow, n1, n]) => {
    const [at, left] = locals(f, 2, 'i32');
    const [v] = locals(f, 1, 'v128');
    const [one] = locals(f, 1, 'f32');
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

/**
 * copy, accumulate: dst, dstRow, dstStep, src, srcRow, srcStep, n1, n.
 * For n1 rows of n floats, at any step: dst = src, or dst += src.
 */
const strided =
  (add: boolean): Build =>
  (f, [dst, dstRow, dstStep, src, srcRow, srcStep, n1, n]) => {
    const [from, to, left] = locals(f, 3, 'i32');
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

/**
 * Products with a sparse matrix. Its table, per output: how many terms, then for each the byte offset of the input from
 * `src` and the weight as a float. With `terms` given each output has so many, and the table does not say so.
 *
 * sparseRows<terms>: out, src, table, n1, n. For n1 outputs: a row of n floats = Σ weight · row of the input.
 */
const sparseRows =
  (terms: number): Build =>
  (f, [out, src, table, n1, n]) => {
    const [to, left, count, entry, column] = locals(f, 5, 'i32');
    const rows = Array.from({ length: terms }, () => ({ at: f.local('i32'), weight: f.local('v128') }));
    const [v, w, low, high] = locals(f, 4, 'v128');
    const few = () => {
      for (const [t, { at, weight }] of rows.entries()) {
        f.get(table)
          .access('i32.load', 8 * t)
          .get(src)
          .op('i32.add')
          .set(at);
        f.get(table)
          .access('v128.load32_splat', 8 * t + 4)
          .set(weight);
      }
      f.countdown(left, 1, () => {
        f.get(to);
        for (const [t, { at, weight }] of rows.entries()) {
          f.get(at).access('v128.load').get(weight).op('f32x4.mul');
          if (t > 0) f.op('f32x4.add');
          f.add(at, 16);
        }
        f.access('v128.store').add(to, 16);
      });
      f.add(table, 8 * terms);
    };
    // Any number of terms, summed in float64.
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

/** sparseEach<terms>: out, src, srcRow, table, n1, n. For n1 rows: n outputs, each a float = Σ weight · input. */
const sparseEach =
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
            load(8 * t)
              .get(entry)
              .access('f32.load', 8 * t + 4)
              .op('f32.mul');
            if (t > 0) f.op('f32.add');
          }
          f.add(entry, 8 * terms);
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

const KERNELS: Readonly<Record<string, readonly [parameters: number, build: Build]>> = {
  sumRows: [6, sumRows],
  sumColumns: [5, sumColumns],
  maxRows: [6, extremeRows('max')],
  minRows: [6, extremeRows('min')],
  copy: [8, strided(false)],
  accumulate: [8, strided(true)],
  // See movers.ts.
  turn: [14, turn],
  ...Object.fromEntries([0, 1, 2, 3, 4].map((terms) => [`sparseRows${terms}`, [5, sparseRows(terms)]])),
  ...Object.fromEntries([0, 1, 2, 3, 4].map((terms) => [`sparseEach${terms}`, [6, sparseEach(terms)]])),
};

/** Where rows of an input lie: address of the first, and bytes from one to the next. */
export type Rows = readonly [at: number, row: number];

/** The kernels over one memory. */
export class VectorKernels {
  readonly #heap: Heap;
  readonly #made = new Map<string, Kernel>();

  constructor(heap: Heap) {
    this.#heap = heap;
  }

  #kernel(key: string, parameters: () => readonly ValueType[], build: Build): Kernel {
    let kernel = this.#made.get(key);
    if (kernel === undefined) {
      const { Module, Instance } = webAssembly();
      const module = new ModuleBuilder(this.#heap.limits).func('run', parameters(), (f, ...p) => build(f, p));
      const { exports } = new Instance(new Module(module.bytes()), { env: { memory: this.#heap.memory } });
      kernel = exports.run;
      this.#made.set(key, kernel);
    }
    return kernel;
  }

  /** Calls a kernel by its name. */
  call(name: string, ...values: number[]): void {
    const [parameters, build] = KERNELS[name];
    this.#kernel(name, () => new Array<ValueType>(parameters).fill('i32'), build)(...values);
  }

  /**
   * out = the formula, for n1 rows of n floats; `names` are the inputs, one letter each, and `pattern` says with a 1 which
   * have a value per element, with a 0 which have one per row. `out` may be an input.
   */
  apply(
    text: string,
    names: string,
    pattern: string,
    [out, outRow]: Rows,
    n1: number,
    n: number,
    inputs: readonly Rows[],
    [p = 0, q = 0]: readonly number[] = [],
  ): void {
    const kernel = this.#kernel(
      `${pattern} ${text}`,
      () => formulaParameters(names.length),
      (f, parameters) => buildFormula(f, parameters, text, [...names], pattern),
    );
    inPieces(n1, n, (row, rows, column, columns) => {
      const at = inputs.flatMap(([base, step], i) => [
        base + row * step + (pattern[i] === '1' ? 4 * column : 0),
        step,
      ]);
      kernel(out + row * outRow + 4 * column, outRow, rows, columns, ...at, p, q);
    });
  }
}

/** Cuts n1 × n elements into pieces of at most {@link CALL}, whole rows where they are short. */
export function inPieces(
  n1: number,
  n: number,
  visit: (row: number, rows: number, column: number, columns: number) => void,
  width = CALL,
): void {
  for (let column = 0; column < n; column += width) {
    const columns = Math.min(width, n - column);
    const height = Math.max(1, Math.floor(CALL / columns));
    for (let row = 0; row < n1; row += height) visit(row, Math.min(height, n1 - row), column, columns);
  }
}
