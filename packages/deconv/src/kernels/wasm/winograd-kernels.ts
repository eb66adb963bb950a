/**
 * winograd-kernels: the commands that bring weight and input into Winograd's form and results out of it (see winograd.ts for
 * the matrices). Lanes run along tiles. The places of a tile lie in planes of their own, so that the sum over channels is one
 * matrix product per place.
 */

import type { Form } from '../../geometry/winograd.js';
import { range } from '../../shape.js';
import type { FunctionBuilder, Local } from './assembler.js';
import { eachRow, eachWeight } from './movers.js';
import * as wasm from './opcodes.js';

/** The points besides ∞ and, for an even number, 0, each with its negative, by inputs of a tile. Beside 0 their product is 1. */
const POINTS: Readonly<Record<number, readonly number[]>> = {
  3: [1],
  4: [1],
  5: [0.5, 1],
  6: [2 / 3, 3 / 2],
  8: [0.5, 1, 2],
};

/** Places for the point 0: 1 or none. */
const zerosOf = (inputs: number): number => 1 - (inputs % 2);

/** Π (z − p²) over the points: the coefficients of 1, z, z² … */
function polynomial(points: readonly number[]): number[] {
  let product = [1];
  for (const p of points) product = [0, ...product].map((c, i) => c - p * p * (product[i] ?? 0));
  return product;
}

/** Loads input `i`, vector `v`, of a line onto the stack. */
type Load = (i: number, v: number) => void;
/** Takes a result of a line: `value` leaves its vector `v` on the stack. */
type Put = (place: number, value: (v: number) => void) => void;
/** A multiple of what `value` leaves on the stack. */
type Term = readonly [factor: number, value: () => void];

/** Sums of multiples, the factors kept in locals: leaves Σ factor · value on the stack. */
function sumsOf(f: FunctionBuilder, relaxed: boolean, factors: readonly number[]) {
  const constants = new Map<number, Local>();
  for (const factor of new Set(factors.filter((factor) => Math.abs(factor) !== 1))) {
    const local = f.local(wasm.v128);
    f.splat(factor).set(local);
    constants.set(factor, local);
  }
  return (terms: readonly Term[]): void => {
    // Terms that are not multiplied come first, and are what others are added to.
    const ordered = [...terms].sort((a, b) => Number(b[0] === 1) - Number(a[0] === 1));
    const upTo = (last: number): void => {
      const [factor, value] = ordered[last];
      const constant = constants.get(factor);
      if (constant === undefined) {
        if (last > 0) upTo(last - 1);
        value();
        if (last > 0) f.op(factor === 1 ? wasm.f32x4Add : wasm.f32x4Sub);
        return;
      }
      f.get(constant);
      value();
      if (last === 0 || !relaxed) f.op(wasm.f32x4Mul);
      if (last === 0) return;
      upTo(last - 1);
      f.op(relaxed ? wasm.f32x4RelaxedMadd : wasm.f32x4Add);
    };
    upTo(ordered.length - 1);
  };
}

/** Bᵀ of a line of inputs, in parts that each give one place or two, in order. */
function inputParts(f: FunctionBuilder, inputs: number, vectors: number, relaxed: boolean) {
  const points = POINTS[inputs];
  const zeros = zerosOf(inputs);
  const ends = polynomial(points);
  const pairs = points.map((p) => ({ p, factors: polynomial(points.filter((q) => q !== p)) }));
  const all = [...ends, ...ends.map((c) => -c), ...pairs.flatMap(({ p, factors }) => [p, -p, ...factors])];
  const sum = sumsOf(f, relaxed, all);
  const kept = range(2).map(() => f.locals(vectors, wasm.v128));
  // Every second input, from the first on.
  const every = (load: Load, first: number, factors: readonly number[], v: number) =>
    sum(factors.map((factor, i): Term => [factor, () => load(first + 2 * i, v)]));
  const end = (place: number, first: number, factors: readonly number[]) => (load: Load, put: Put) =>
    put(place, (v) => every(load, first, factors, v));
  const pair = (place: number, p: number, factors: readonly number[]) => (load: Load, put: Put) => {
    const single = factors.length === 1;
    const [even, odd] = kept.map(
      (half, i) => (v: number) => () => (single ? load(zeros + 1 - i, v) : f.get(half[v])),
    );
    for (let v = 0; v < vectors && !single; v++)
      for (const [i, half] of kept.entries()) {
        every(load, zeros + 1 - i, factors, v);
        f.set(half[v]);
      }
    for (const [i, factor] of [p, -p].entries())
      put(place + i, (v) =>
        sum([
          [1, even(v)],
          [factor, odd(v)],
        ]),
      );
  };
  const zero = end(
    0,
    0,
    ends.map((c) => c * ends[0]),
  );
  return [
    ...(zeros > 0 ? [zero] : []),
    ...pairs.map(({ p, factors }, i) => pair(zeros + 2 * i, p, factors)),
    end(inputs - 1, zeros, ends),
  ];
}

/** What the commands of a form are called. Its inputs are transformed alike whatever its taps. */
export const namesOf = ({ inputs, taps }: Form) => ({
  input: `tileInput${inputs}`,
  weight: `tileWeight${inputs}of${taps}`,
  output: `tileOutput${inputs}of${taps}`,
});

/** Places of a tile. */
export const placesOf = ({ plane, inputs }: Pick<Form, 'plane' | 'inputs'>): number =>
  plane ? inputs * inputs : inputs;

/** Locals that hold the numbers of a table. */
function numbersOf(f: FunctionBuilder, table: Local, count: number): Local[] {
  const numbers = f.locals(count, wasm.i32);
  for (const [i, number] of numbers.entries())
    f.get(table)
      .access(wasm.i32Load, 4 * i)
      .set(number);
  return numbers;
}

/**
 * tileInput: src, dst, table, plane; n1, src1, dst1; n2, src2, dst2; n3.
 * For n1 channels × n2 rows × n3 tiles: plane[n i + j] = (Bᵀ d B)[i][j] of the n × n inputs d[i][j] = src[table[n i + j]]; or
 * plane[i] = (Bᵀ d)[i] of n inputs in a line. Takes `vectors` vectors of tiles at a time, and may write beyond a row what is
 * missing to whole ones.
 */
export function tileInput(
  f: FunctionBuilder,
  p: readonly Local[],
  form: Pick<Form, 'plane' | 'inputs'>,
  vectors: number,
  relaxed: boolean,
): void {
  const { inputs } = form;
  const [src, dst, table, plane, ...steps] = p;
  const [left3, s, d, to] = f.locals(4, wasm.i32);
  const parts = inputParts(f, inputs, vectors, relaxed);
  const offsets = numbersOf(f, table, placesOf(form));
  const loadAt = (i: number, v: number) =>
    f
      .get(s)
      .get(offsets[i])
      .op(wasm.i32Add)
      .access(wasm.v128Load, 16 * v);
  const store: Put = (_, value) => {
    for (let v = 0; v < vectors; v++) {
      f.get(to);
      value(v);
      f.access(wasm.v128Store, 16 * v);
    }
    f.add(to, plane);
  };
  // Two rows of places, not yet combined along the other axis.
  const rows = range(form.plane ? 2 : 0).map(() => range(inputs).map(() => f.locals(vectors, wasm.v128)));
  const inPlane = () => {
    for (const part of parts) {
      const found = new Set<number>();
      for (let column = 0; column < inputs; column++) {
        const load: Load = (i, v) => loadAt(inputs * i + column, v);
        part(load, (place, value) => {
          found.add(place);
          for (let v = 0; v < vectors; v++) {
            value(v);
            f.set(rows[place % 2][column][v]);
          }
        });
      }
      for (const place of found)
        for (const along of parts) along((j, v) => f.get(rows[place % 2][j][v]), store);
    }
  };
  eachRow(f, [src, dst, ...steps], (sRow, dRow) => {
    f.get(sRow)
      .set(s)
      .get(dRow)
      .set(d)
      .get(steps[6])
      .i32(4 * vectors - 1)
      .op(wasm.i32Add)
      .set(left3);
    f.countdown(left3, 4 * vectors, () => {
      f.get(d).set(to);
      if (form.plane) inPlane();
      else for (const part of parts) part(loadAt, store);
      f.add(s, 16 * vectors).add(d, 16 * vectors);
    });
  });
}

/** Aᵀ: from a line of products to its outputs. */
function outputLine(f: FunctionBuilder, { inputs, outputs }: Form, relaxed: boolean) {
  const points = POINTS[inputs];
  const zeros = zerosOf(inputs);
  const powers = range(outputs);
  const sum = sumsOf(
    f,
    relaxed,
    points.flatMap((p) => powers.map((power) => p ** power)),
  );
  const [plus, minus] = range(2).map(() => f.locals(points.length, wasm.v128));
  return (m: readonly Local[], to: readonly Local[]) => {
    for (const i of points.keys()) {
      const [a, b] = [m[zeros + 2 * i], m[zeros + 2 * i + 1]];
      f.get(a).get(b).op(wasm.f32x4Add).set(plus[i]);
      f.get(a).get(b).op(wasm.f32x4Sub).set(minus[i]);
    }
    for (const power of powers) {
      const from = power % 2 === 0 ? plus : minus;
      const terms = points.map((p, i): Term => [p ** power, () => f.get(from[i])]);
      if (power < zeros) terms.push([1, () => f.get(m[0])]);
      if (power === outputs - 1) terms.push([1, () => f.get(m[inputs - 1])]);
      sum(terms);
      f.set(to[power]);
    }
  };
}

/**
 * tileOutput: c, plane, flag; n1, c1; n2.
 * For n1 rows × n2 tiles, in place: the first m² planes become (Aᵀ M A)[i][j], in order, M[i][j] being plane n i + j, for tiles
 * of n inputs and m outputs; or, in a line, m planes (Aᵀ M)[i]. The word at `flag` becomes 1 if one of them is not finite. May touch
 * up to three floats beyond a row.
 */
export function tileOutput(f: FunctionBuilder, p: readonly Local[], form: Form, relaxed: boolean): void {
  const { inputs, outputs } = form;
  const [c, plane, flag, n1, c1, n2] = p;
  const [at, from, left] = f.locals(3, wasm.i32);
  const vectors = (count: number) => f.locals(count, wasm.v128);
  const products = vectors(inputs);
  const columns = range(form.plane ? outputs : 0).map(() => vectors(inputs));
  const results = vectors(outputs);
  const [bad, kept] = vectors(2);
  const rows = f.local(wasm.i32);
  const line = outputLine(f, form, relaxed);
  f.splat(0).set(bad);
  // Byte distances between places of a column.
  f.get(plane);
  if (form.plane) f.i32(inputs).op(wasm.i32Mul);
  f.set(rows);
  const start = () => f.get(c).get(at).op(wasm.i32Add);
  /** Of the products from the address on the stack on, one `rows` bytes behind the other. */
  const outputsTo = (to: readonly Local[]) => {
    f.set(from);
    for (const product of products) f.get(from).access(wasm.v128Load).set(product).add(from, rows);
    line(products, to);
  };
  const store = () => {
    for (const result of results) {
      f.get(from).get(result).access(wasm.v128Store).add(from, plane);
      f.get(result).get(result).op(wasm.f32x4Sub).get(kept).op(wasm.f32x4Add).set(kept);
    }
  };
  const tiles = () => {
    // kept: the sum of y − y over all results y of these tiles, 0 or NaN.
    f.splat(0).set(kept);
    start();
    if (!form.plane) outputsTo(results);
    for (let j = 0; j < inputs && form.plane; j++) {
      if (j > 0) start().get(plane).i32(j).op(wasm.i32Mul).op(wasm.i32Add);
      outputsTo(columns.map((column) => column[j]));
    }
    start().set(from);
    if (!form.plane) store();
    for (const column of columns) {
      line(column, results);
      store();
    }
  };
  f.countdown(n1, 1, () => {
    f.i32(0).set(at).get(n2).set(left);
    f.countdown(left, 4, () => {
      tiles();
      f.get(bad).get(kept).op(wasm.f32x4Add).set(bad).add(at, 16);
    });
    // Of the last tiles of a row, only those that are there may raise the flag.
    f.get(left);
    f.if(() => {
      tiles();
      for (const lane of [1, 2, 3]) {
        f.get(left).i32(lane).op(wasm.i32Eq);
        f.if(() => {
          f.get(bad).get(kept).splat(0);
          f.shuffle([0, lane > 1 ? 1 : 4, lane > 2 ? 2 : 4, 4])
            .op(wasm.f32x4Add)
            .set(bad);
        });
      }
    });
    f.add(c, c1);
  });
  f.get(bad).get(bad).op(wasm.f32x4Eq).op(wasm.i32x4AllTrue).op(wasm.i32Eqz);
  f.if(() => f.get(flag).i32(1).access(wasm.i32Store));
}

/** G: what a place takes of each tap. */
function weightRows({ inputs, taps }: Form): readonly (readonly number[])[] {
  // Values at 0, at the finite points other than 0, and at ∞.
  const points = POINTS[inputs].flatMap((p) => [p, -p]);
  const powers = range(taps);
  const zeros = zerosOf(inputs);
  const values = points.map((point) => {
    // Π (point − other) over the others, 0 among them if it is a point.
    const scale = points.reduce(
      (product, other) => product * (other === point ? point ** zeros : point - other),
      1,
    );
    return powers.map((power) => point ** power / scale);
  });
  const only = (tap: number) => powers.map((power) => (power === tap ? 1 : 0));
  return [...(zeros > 0 ? [only(0)] : []), ...values, only(taps - 1)];
}

/**
 * tileWeight: w, dst, rowTable, rows, kTable, k, taps, plane.
 * One panel in each of n² planes: plane[n i + j][k][r] = (G g Gᵀ)[i][j] of the taps g[y][x] = w at rowTable[r] +
 * kTable[k] + taps[count · y + x], byte offsets all; or, in a line, in each of n planes (G g)[i] of the taps g[x].
 */
export function tileWeight(f: FunctionBuilder, p: readonly Local[], form: Form): void {
  const { taps: count, plane: inPlane } = form;
  const [, dst, , , , , taps, plane] = p;
  const to = f.local(wasm.i32);
  const g = range(inPlane ? count : 1).map(() => f.locals(count, wasm.f32));
  const halves = f.locals(count, wasm.f32);
  const matrix = weightRows(form);
  // Σ factors · values
  const combine = (factors: readonly number[], values: readonly Local[]) => {
    let first = true;
    for (const [i, factor] of factors.entries()) {
      if (factor === 0) continue;
      f.get(values[i]);
      if (factor !== 1) f.f32(factor).op(wasm.f32Mul);
      if (!first) f.op(wasm.f32Add);
      first = false;
    }
  };
  const store = (values: readonly Local[]) => {
    for (const along of matrix) {
      f.get(to);
      combine(along, values);
      f.access(wasm.f32Store).add(to, plane);
    }
  };
  const offsets = numbersOf(f, taps, count * g.length);
  eachWeight(f, p, (at) => {
    for (const [i, offset] of offsets.entries()) {
      f.get(at).get(offset).op(wasm.i32Add).access(wasm.f32Load);
      f.set(g[Math.floor(i / count)][i % count]);
    }
    f.get(dst).set(to);
    if (!inPlane) store(g[0]);
    for (const across of inPlane ? matrix : []) {
      for (const [x, half] of halves.entries()) {
        combine(
          across,
          g.map((row) => row[x]),
        );
        f.set(half);
      }
      store(halves);
    }
  });
}
