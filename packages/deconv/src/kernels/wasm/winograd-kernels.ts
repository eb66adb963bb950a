/**
 * winograd-kernels: the commands that bring weight and input into Winograd's form and results out of it (see winograd.ts for
 * the matrices). Lanes run along tiles. The places of a tile lie in planes of their own, so that the sum over channels is one
 * matrix product per place.
 */

import type { Form } from '../../geometry/winograd.js';
import { range } from '../../shape.js';
import {
  add,
  type Build,
  type Code,
  countdown,
  f32,
  i32,
  type Local,
  type Locals,
  set,
  shuffle,
  splat,
  when,
} from './assembler.js';
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
type Load = (i: number, v: number) => Code;
/** Results of a line: what leaves vector `v` of each place on the stack, once `before` is done. */
type Results = readonly [
  before: Code,
  results: readonly (readonly [place: number, value: (v: number) => Code])[],
];
/** A multiple of what a code leaves on the stack. */
type Term = readonly [factor: number, value: Code];

/** Sums of multiples, the factors kept in locals: what sets these, and what leaves Σ factor · value on the stack. */
function sumsOf(locals: Locals, relaxed: boolean, factors: readonly number[]) {
  const kept = new Map<number, Local>();
  const begin = [...new Set(factors)].map((factor) => {
    if (Math.abs(factor) === 1) return [];
    const [local] = locals(1, wasm.v128);
    kept.set(factor, local);
    return set(local, splat(factor));
  });
  const sum = (terms: readonly Term[]): Code =>
    [...terms]
      // Terms that are not multiplied come first, and are what others are added to.
      .sort((a, b) => Number(b[0] === 1) - Number(a[0] === 1))
      .reduce((before: Code, [factor, value], i) => {
        const constant = kept.get(factor);
        if (constant === undefined)
          return [before, value, i === 0 ? [] : factor === 1 ? wasm.f32x4Add : wasm.f32x4Sub];
        const product = [constant, value, i > 0 && relaxed ? [] : wasm.f32x4Mul];
        return [product, before, i === 0 ? [] : relaxed ? wasm.f32x4RelaxedMadd : wasm.f32x4Add];
      }, []);
  return [begin, sum] as const;
}

/** Bᵀ of a line of inputs: what is done before, and parts that each give one place or two, in order. */
function inputParts(locals: Locals, inputs: number, vectors: readonly number[], relaxed: boolean) {
  const points = POINTS[inputs];
  const zeros = zerosOf(inputs);
  const ends = polynomial(points);
  const pairs = points.map((p) => [p, polynomial(points.filter((q) => q !== p))] as const);
  const all = [...ends, ...ends.map((c) => -c), ...pairs.flatMap(([p, factors]) => [p, -p, ...factors])];
  const [begin, sum] = sumsOf(locals, relaxed, all);
  const kept = range(2).map(() => locals(vectors.length, wasm.v128));
  // Every second input, from the first on.
  const every = (load: Load, first: number, factors: readonly number[], v: number) =>
    sum(factors.map((factor, i) => [factor, load(first + 2 * i, v)]));
  const end =
    (place: number, first: number, factors: readonly number[]) =>
    (load: Load): Results => [[], [[place, (v) => every(load, first, factors, v)]]];
  const pair =
    (place: number, p: number, factors: readonly number[]) =>
    (load: Load): Results => {
      const single = factors.length === 1;
      const [even, odd] = kept.map((half, i) => (v: number) => (single ? load(zeros + 1 - i, v) : half[v]));
      return [
        single
          ? []
          : vectors.map((v) => kept.map((half, i) => set(half[v], every(load, zeros + 1 - i, factors, v)))),
        [p, -p].map((factor, i) => [
          place + i,
          (v) =>
            sum([
              [1, even(v)],
              [factor, odd(v)],
            ]),
        ]),
      ];
    };
  const atZero = ends.map((c) => c * ends[0]);
  const parts = [
    ...range(zeros).map((place) => end(place, 0, atZero)),
    ...pairs.map(([p, factors], i) => pair(zeros + 2 * i, p, factors)),
    end(inputs - 1, zeros, ends),
  ];
  return [begin, parts] as const;
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

/** Sets locals to the numbers of a table. */
const numbersOf = (numbers: readonly Local[], table: Local) =>
  numbers.map((number, i) => set(number, table, wasm.i32Load(4 * i)));

/**
 * tileInput: src, dst, table, plane; n1, src1, dst1; n2, src2, dst2; n3.
 * For n1 channels × n2 rows × n3 tiles: plane[n i + j] = (Bᵀ d B)[i][j] of the n × n inputs d[i][j] = src[table[n i + j]]; or
 * plane[i] = (Bᵀ d)[i] of n inputs in a line. Takes `vectors` vectors of tiles at a time, and may write beyond a row what is
 * missing to whole ones.
 */
export const tileInput =
  (form: Pick<Form, 'plane' | 'inputs'>, width: number, relaxed: boolean): Build =>
  (locals, [src, dst, table, plane, ...steps]) => {
    const { inputs } = form;
    const vectors = range(width);
    const [left3, s, d, to] = locals(4);
    const [begin, parts] = inputParts(locals, inputs, vectors, relaxed);
    const offsets = locals(placesOf(form));
    const loadAt: Load = (i, v) => [s, offsets[i], wasm.i32Add, wasm.v128Load(16 * v)];
    const store = ([before, results]: Results) => [
      before,
      results.map(([, value]) => [
        vectors.map((v) => [to, value(v), wasm.v128Store(16 * v)]),
        add(to, plane),
      ]),
    ];
    // Two rows of places, not yet combined along the other axis.
    const rows = range(form.plane ? 2 : 0).map(() => range(inputs).map(() => locals(width, wasm.v128)));
    const inPlane = (part: (load: Load) => Results) => {
      const columns = range(inputs).map((column) => part((i, v) => loadAt(inputs * i + column, v)));
      const [, places] = columns[0];
      return [
        columns.map(([before, results], column) => [
          before,
          results.map(([place, value]) => vectors.map((v) => set(rows[place % 2][column][v], value(v)))),
        ]),
        places.map(([place]) => parts.map((along) => store(along((j, v) => rows[place % 2][j][v])))),
      ];
    };
    return [
      [begin, numbersOf(offsets, table)],
      eachRow(locals, [src, dst, ...steps], (sRow, dRow) => [
        [set(s, sRow), set(d, dRow), set(left3, steps[6], i32(4 * width - 1), wasm.i32Add)],
        countdown(
          left3,
          4 * width,
          set(to, d),
          parts.map((part) => (form.plane ? inPlane(part) : store(part(loadAt)))),
          [add(s, 16 * width), add(d, 16 * width)],
        ),
      ]),
    ];
  };

/** Aᵀ: from a line of products to its outputs; what is done before, and then. */
function outputLine(locals: Locals, { inputs, outputs }: Form, relaxed: boolean) {
  const points = POINTS[inputs];
  const zeros = zerosOf(inputs);
  const powers = range(outputs);
  const factors = points.flatMap((p) => powers.map((power) => p ** power));
  const [begin, sum] = sumsOf(locals, relaxed, factors);
  const [plus, minus] = range(2).map(() => locals(points.length, wasm.v128));
  const line = (m: readonly Local[], to: readonly Local[]) => [
    points.map((_, i) => {
      const [a, b] = m.slice(zeros + 2 * i);
      return [set(plus[i], a, b, wasm.f32x4Add), set(minus[i], a, b, wasm.f32x4Sub)];
    }),
    powers.map((power) => {
      const from = power % 2 === 0 ? plus : minus;
      const terms = points.map((p, i): Term => [p ** power, from[i]]);
      if (power < zeros) terms.push([1, m[0]]);
      if (power === outputs - 1) terms.push([1, m[inputs - 1]]);
      return set(to[power], sum(terms));
    }),
  ];
  return [begin, line] as const;
}

/**
 * tileOutput: c, plane, flag; n1, c1; n2.
 * For n1 rows × n2 tiles, in place: the first m² planes become (Aᵀ M A)[i][j], in order, M[i][j] being plane n i + j, for tiles
 * of n inputs and m outputs; or, in a line, m planes (Aᵀ M)[i]. The word at `flag` becomes 1 if one of them is not finite. May touch
 * up to three floats beyond a row.
 */
export const tileOutput =
  (form: Form, relaxed: boolean): Build =>
  (locals, [c, plane, flag, n1, c1, n2]) => {
    const { inputs, outputs } = form;
    const [at, from, left] = locals(3);
    const products = locals(inputs, wasm.v128);
    const columns = range(form.plane ? outputs : 0).map(() => locals(inputs, wasm.v128));
    const results = locals(outputs, wasm.v128);
    const [bad, kept] = locals(2, wasm.v128);
    const [rows] = locals(1);
    const [begin, line] = outputLine(locals, form, relaxed);
    const start = [c, at, wasm.i32Add];
    /** Of the products from `from` on, one `rows` bytes behind the other. */
    const outputsTo = (to: readonly Local[]) => [
      products.map((product) => [set(product, from, wasm.v128Load()), add(from, rows)]),
      line(products, to),
    ];
    const store = results.map((result) => [
      [from, result, wasm.v128Store(), add(from, plane)],
      set(kept, result, result, wasm.f32x4Sub, kept, wasm.f32x4Add),
    ]);
    const tiles = [
      // kept: the sum of y − y over all results y of these tiles, 0 or NaN.
      set(kept, splat(0)),
      form.plane
        ? [
            range(inputs).map((j) => [
              set(from, start, j > 0 ? [plane, i32(j), wasm.i32Mul, wasm.i32Add] : []),
              outputsTo(columns.map((column) => column[j])),
            ]),
            set(from, start),
            columns.map((column) => [line(column, results), store]),
          ]
        : [set(from, start), outputsTo(results), set(from, start), store],
    ];
    return [
      [begin, set(bad, splat(0))],
      // Byte distances between places of a column.
      set(rows, plane, form.plane ? [i32(inputs), wasm.i32Mul] : []),
      countdown(
        n1,
        1,
        [set(at, i32(0)), set(left, n2)],
        countdown(left, 4, tiles, set(bad, bad, kept, wasm.f32x4Add), add(at, 16)),
        // Of the last tiles of a row, only those that are there may raise the flag.
        when(left, [
          tiles,
          [1, 2, 3].map((lane) =>
            when(
              [left, i32(lane), wasm.i32Eq],
              [
                [bad, kept, splat(0), shuffle(0, lane > 1 ? 1 : 4, lane > 2 ? 2 : 4, 4)],
                set(bad, wasm.f32x4Add),
              ],
            ),
          ),
        ]),
        add(c, c1),
      ),
      when([bad, bad, wasm.f32x4Eq, wasm.i32x4AllTrue, wasm.i32Eqz], [flag, i32(1), wasm.i32Store()]),
    ];
  };

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
  return [...range(zeros).map(only), ...values, only(taps - 1)];
}

/**
 * tileWeight: w, dst, rowTable, rows, kTable, k, taps, plane.
 * One panel in each of n² planes: plane[n i + j][k][r] = (G g Gᵀ)[i][j] of the taps g[y][x] = w at rowTable[r] +
 * kTable[k] + taps[count · y + x], byte offsets all; or, in a line, in each of n planes (G g)[i] of the taps g[x].
 */
export const tileWeight =
  (form: Form): Build =>
  (locals, parameters) => {
    const { taps: count, plane: inPlane } = form;
    const [, dst, , , , , taps, plane] = parameters;
    const [to] = locals(1);
    const g = range(inPlane ? count : 1).map(() => locals(count, wasm.f32));
    const halves = locals(count, wasm.f32);
    const matrix = weightRows(form);
    // Σ factors · values
    const combine = (factors: readonly number[], values: readonly Local[]) =>
      factors
        .map((factor, i) => [factor, values[i]] as const)
        .filter(([factor]) => factor !== 0)
        .map(([factor, value], i) => [
          [value, factor === 1 ? [] : [f32(factor), wasm.f32Mul]],
          i > 0 ? wasm.f32Add : [],
        ]);
    const store = (values: readonly Local[]) =>
      matrix.map((along) => [to, combine(along, values), wasm.f32Store(), add(to, plane)]);
    const offsets = locals(count * g.length);
    return [
      numbersOf(offsets, taps),
      eachWeight(locals, parameters, (at) => [
        g.flat().map((tap, i) => set(tap, at, offsets[i], wasm.i32Add, wasm.f32Load())),
        set(to, dst),
        inPlane
          ? matrix.map((across) => [
              halves.map((half, x) =>
                set(
                  half,
                  combine(
                    across,
                    g.map((row) => row[x]),
                  ),
                ),
              ),
              store(halves),
            ])
          : store(g[0]),
      ]),
    ];
  };
