/**
 * winograd-kernels: the commands that bring weight and input into Winograd's form and results out of it (see winograd.ts for
 * the matrices). Lanes run along tiles. The places of a tile lie in planes of their own, so that the sum over channels is one
 * matrix product per place.
 */
import type { Form } from '../../geometry/winograd.js';
import type { FunctionBuilder, Local } from './assembler.js';
import { eachRow } from './movers.js';

/** The points of tiles of six inputs: 0, ±A, ±B, ∞; and the sum of their squares. */
const [A, B] = [2 / 3, 3 / 2];
const C = A * A + B * B;

/** Loads input `i`, vector `v`, of a line onto the stack. */
type Load = (i: number, v: number) => void;
/** Takes a result of a line: `value` leaves its vector `v` on the stack. */
type Put = (place: number, value: (v: number) => void) => void;

/** Vector arithmetic with constants, kept in locals. */
class Arithmetic {
  readonly #f: FunctionBuilder;
  readonly #relaxed: boolean;
  readonly #constants = new Map<number, Local>();

  constructor(f: FunctionBuilder, relaxed: boolean, constants: readonly number[]) {
    this.#f = f;
    this.#relaxed = relaxed;
    for (const value of constants) {
      const local = f.local('v128');
      f.splat(value).set(local);
      this.#constants.set(value, local);
    }
  }

  #constant(value: number): void {
    this.#f.get(this.#constants.get(value) as Local);
  }

  /** factor · x */
  times(factor: number, x: () => void): void {
    this.#constant(factor);
    x();
    this.#f.op('f32x4.mul');
  }

  /** factor · x + y */
  plus(factor: number, x: () => void, y: () => void): void {
    this.#constant(factor);
    x();
    if (!this.#relaxed) this.#f.op('f32x4.mul');
    y();
    this.#f.op(this.#relaxed ? 'f32x4.relaxed_madd' : 'f32x4.add');
  }
}

/** Bᵀ of a line of inputs, in parts that each give one place or two, in order. */
function inputParts(f: FunctionBuilder, inputs: number, vectors: number, relaxed: boolean) {
  const both = (op: 'f32x4.add' | 'f32x4.sub', a: () => void, b: () => void) => {
    a();
    b();
    f.op(op);
  };
  if (inputs === 4) {
    const rows = [
      [0, 2, 'f32x4.sub'],
      [1, 2, 'f32x4.add'],
      [2, 1, 'f32x4.sub'],
      [3, 1, 'f32x4.sub'],
    ] as const;
    return rows.map(([one, other, op], place) => (load: Load, put: Put) => {
      put(place, (v) =>
        both(
          op,
          () => load(one, v),
          () => load(other, v),
        ),
      );
    });
  }
  const { times, plus } = bound(new Arithmetic(f, relaxed, [-C, A, -A, B, -B, -A * A, -B * B]));
  const [even, odd] = [0, 1].map(() => f.locals(vectors, 'v128'));
  // x₀ + x₄ − c x₂, from the first input on.
  const end = (place: number, first: number) => (load: Load, put: Put) => {
    put(place, (v) => {
      const ends = () =>
        both(
          'f32x4.add',
          () => load(first, v),
          () => load(first + 4, v),
        );
      plus(-C, () => load(first + 2, v), ends);
    });
  };
  // (x₄ − q² x₂) ± (p x₃ − q x₁), p q = 1
  const pair = (place: number, p: number, q: number) => (load: Load, put: Put) => {
    for (const [v, to] of even.entries()) {
      plus(
        -q * q,
        () => load(2, v),
        () => load(4, v),
      );
      f.set(to);
      plus(
        -q,
        () => load(1, v),
        () => times(p, () => load(3, v)),
      );
      f.set(odd[v]);
    }
    put(place, (v) => f.get(even[v]).get(odd[v]).op('f32x4.add'));
    put(place + 1, (v) => f.get(even[v]).get(odd[v]).op('f32x4.sub'));
  };
  return [end(0, 0), pair(1, A, B), pair(3, B, A), end(5, 1)];
}

/** Its methods by themselves. */
const bound = (arithmetic: Arithmetic) => ({
  times: arithmetic.times.bind(arithmetic),
  plus: arithmetic.plus.bind(arithmetic),
});

/**
 * tileInput: src, dst, table, plane; n1, src1, dst1; n2, src2, dst2; n3.
 * For n1 channels × n2 rows × n3 tiles: plane[n i + j] = (Bᵀ d B)[i][j] of the n × n inputs d[i][j] = src[table[n i + j]].
 * Takes `vectors` vectors of tiles at a time, and may write beyond a row what is missing to whole ones.
 */
export function tileInput(
  f: FunctionBuilder,
  p: readonly Local[],
  inputs: number,
  vectors: number,
  relaxed: boolean,
): void {
  const [src, dst, table, plane, ...steps] = p;
  const [left3, s, d, to] = f.locals(4, 'i32');
  const offsets = f.locals(inputs * inputs, 'i32');
  const vectorsOf = (count: number) => Array.from({ length: count }, () => f.locals(vectors, 'v128'));
  // Two rows of places, not yet combined along the other axis.
  const rows = [vectorsOf(inputs), vectorsOf(inputs)];
  const parts = inputParts(f, inputs, vectors, relaxed);
  for (const [i, offset] of offsets.entries())
    f.get(table)
      .access('i32.load', 4 * i)
      .set(offset);
  const tiles = () => {
    f.get(d).set(to);
    for (const part of parts) {
      const found = new Set<number>();
      for (let column = 0; column < inputs; column++) {
        const load: Load = (i, v) =>
          f
            .get(s)
            .get(offsets[inputs * i + column])
            .op('i32.add')
            .access('v128.load', 16 * v);
        part(load, (place, value) => {
          found.add(place);
          for (let v = 0; v < vectors; v++) {
            value(v);
            f.set(rows[place % 2][column][v]);
          }
        });
      }
      for (const place of found) {
        for (const along of parts) {
          along(
            (j, v) => f.get(rows[place % 2][j][v]),
            (_, value) => {
              for (let v = 0; v < vectors; v++) {
                f.get(to);
                value(v);
                f.access('v128.store', 16 * v);
              }
              f.add(to, plane);
            },
          );
        }
      }
    }
  };
  eachRow(f, [src, dst, ...steps], (sRow, dRow) => {
    f.get(sRow)
      .set(s)
      .get(dRow)
      .set(d)
      .get(steps[6])
      .i32(4 * vectors - 1)
      .op('i32.add')
      .set(left3);
    f.countdown(left3, 4 * vectors, () => {
      tiles();
      f.add(s, 16 * vectors).add(d, 16 * vectors);
    });
  });
}

/** Aᵀ: from a line of products to its outputs. */
function outputLine(f: FunctionBuilder, { inputs, outputs }: Form, relaxed: boolean) {
  const [sum, difference, sum2, difference2] = f.locals(4, 'v128');
  const add = (a: Local, b: Local, to: Local) => f.get(a).get(b).op('f32x4.add').set(to);
  const sub = (a: Local, b: Local, to: Local) => f.get(a).get(b).op('f32x4.sub').set(to);
  if (inputs === 4) {
    return (m: readonly Local[], to: readonly Local[]) => {
      add(m[1], m[2], sum);
      sub(m[1], m[2], difference);
      add(m[0], sum, to[0]);
      if (outputs === 2) add(difference, m[3], to[1]);
      else {
        f.get(difference).set(to[1]);
        add(sum, m[3], to[2]);
      }
    };
  }
  const { times, plus } = bound(new Arithmetic(f, relaxed, [A, B, A * A, B * B, A ** 3, B ** 3]));
  return (m: readonly Local[], to: readonly Local[]) => {
    add(m[1], m[2], sum);
    sub(m[1], m[2], difference);
    add(m[3], m[4], sum2);
    sub(m[3], m[4], difference2);
    add(sum, sum2, to[0]);
    add(to[0], m[0], to[0]);
    for (const power of [1, 2, 3]) {
      const [one, other] = power === 2 ? [sum, sum2] : [difference, difference2];
      plus(
        A ** power,
        () => f.get(one),
        () => times(B ** power, () => f.get(other)),
      );
      f.set(to[power]);
    }
    add(to[3], m[5], to[3]);
  };
}

/**
 * tileOutput: c, plane, flag; n1, c1; n2.
 * For n1 rows × n2 tiles, in place: the first m² planes become (Aᵀ M A)[i][j], in order, M[i][j] being plane n i + j, for tiles
 * of n inputs and m outputs. The word at `flag` becomes 1 if one of them is not finite. May touch up to three floats beyond a row.
 */
export function tileOutput(f: FunctionBuilder, p: readonly Local[], form: Form, relaxed: boolean): void {
  const { inputs, outputs } = form;
  const [c, plane, flag, n1, c1, n2] = p;
  const [at, from, left] = f.locals(3, 'i32');
  const vectors = (count: number) => f.locals(count, 'v128');
  const products = vectors(inputs);
  const columns = Array.from({ length: outputs }, () => vectors(inputs));
  const results = vectors(outputs);
  const [bad, kept] = vectors(2);
  const rows = f.local('i32');
  const line = outputLine(f, form, relaxed);
  f.splat(0).set(bad);
  // Byte distances between places of a column.
  f.get(plane).i32(inputs).op('i32.mul').set(rows);
  const tiles = () => {
    // kept: the sum of y − y over all results y of these tiles, 0 or NaN.
    f.splat(0).set(kept);
    for (let j = 0; j < inputs; j++) {
      f.get(c).get(at).op('i32.add').get(plane).i32(j).op('i32.mul').op('i32.add').set(from);
      for (const product of products) f.get(from).access('v128.load').set(product).add(from, rows);
      line(
        products,
        columns.map((column) => column[j]),
      );
    }
    f.get(c).get(at).op('i32.add').set(from);
    for (const column of columns) {
      line(column, results);
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

/** G: what a place takes of each tap. */
function weightRows({ inputs, taps }: Form): readonly (readonly number[])[] {
  // Values at 0, at the finite points other than 0, and at ∞.
  const points = inputs === 4 ? [1, -1] : [A, -A, B, -B];
  const powers = Array.from({ length: taps }, (_, power) => power);
  const values = points.map((point) => {
    // Π (point − other) over the others, 0 among them.
    const scale = points.reduce((product, other) => product * (other === point ? point : point - other), 1);
    return powers.map((power) => point ** power / scale);
  });
  return [
    powers.map((power) => (power === 0 ? 1 : 0)),
    ...values,
    powers.map((power) => (power === taps - 1 ? 1 : 0)),
  ];
}

/**
 * tileWeight: w, dst, rowTable, rows, kTable, k, taps, plane.
 * One panel in each of n² planes: plane[n i + j][k][r] = (G g Gᵀ)[i][j] of the taps g[y][x] = w at rowTable[r] +
 * kTable[k] + taps[count · y + x], byte offsets all.
 */
export function tileWeight(f: FunctionBuilder, p: readonly Local[], form: Form): void {
  const { taps: count } = form;
  const [w, dst, rowTable, rows, kTable, k, taps, plane] = p;
  const [base, rp, left, at, to] = f.locals(5, 'i32');
  const floats = (length: number) => Array.from({ length }, () => f.local('f32'));
  const offsets = f.locals(count * count, 'i32');
  const g = Array.from({ length: count }, () => floats(count));
  const halves = floats(count);
  const matrix = weightRows(form);
  // Σ factors · values
  const combine = (factors: readonly number[], values: readonly Local[]) => {
    const used = factors.flatMap((factor, i) => (factor === 0 ? [] : [{ factor, value: values[i] }]));
    for (const [i, { factor, value }] of used.entries()) {
      f.get(value);
      if (factor !== 1) f.f32(factor).op('f32.mul');
      if (i > 0) f.op('f32.add');
    }
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
      for (const across of matrix) {
        for (const [x, half] of halves.entries()) {
          combine(
            across,
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
