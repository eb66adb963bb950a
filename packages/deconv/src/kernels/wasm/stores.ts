/**
 * stores: the commands that bring results to where they belong: phases side by side, with what is left to be done to sums on their
 * way. Each takes up to twenty integers and loops over a whole block by itself.
 */
import { range } from '../../shape.js';
import {
  add,
  type Build,
  type Code,
  countdown,
  each,
  i32,
  type Local,
  type Locals,
  set,
  shuffle,
  vectors,
  when,
} from './assembler.js';
import * as wasm from './opcodes.js';

/**
 * One more term of what is stored from `out` on, which lies at `term`: what is done before all else, and what adds it to a sum, given
 * the sum's place and how it is loaded.
 */
export type Term = (
  locals: Locals,
  out: Local,
  term: Local,
) => readonly [begin: Code, plus: (op: Local, load: Code) => Code];

/** Which of the parameters of {@link storing} is the step from one output to the next. */
const OUT3 = 8;

/**
 * What both ways of storing have in common, of n1, c1, out1, bias1; n2, c2, out2; n3, out3; floor, term: what is done before, the loop
 * over channels and rows, and what results go through as they are stored: bias, the term if there is one, floor.
 */
function storing(
  locals: Locals,
  [left3, ...rowPointers]: readonly Local[],
  [c, out, bias, ...scale]: readonly Local[],
  [n1, c1, out1, bias1, n2, c2, out2, n3, , floor, own]: readonly Local[],
  term?: Term,
) {
  const [first, plus] = term?.(locals, out, own) ?? [[], () => []];
  const [bias4, floor4] = locals(2, wasm.v128);
  const begin = [first, set(floor4, floor, wasm.f32ReinterpretI32, wasm.f32x4Splat)];
  /** `body` for each row, to whose sums, outputs and scales the pointers are set, `left3` being their number. */
  const eachRow = (body: Code) =>
    each(locals, n1, [c, out, bias], [c1, out1, bias1], (c, out, bias) => [
      set(bias4, bias, wasm.v128Load32Splat()),
      each(locals, n2, [c, out, ...scale], [c2, out2, out2], (...rows) => [
        [rows.map((row, i) => set(rowPointers[i], row)), set(left3, n3)],
        body,
      ]),
    ]);
  const biased = [bias4, wasm.f32x4Add];
  const atLeast = [floor4, wasm.f32x4Pmax];
  /** Four sums that have their bias, with everything else, to `offset` bytes behind `op`. */
  const four = (op: Local, sums: Code, offset = 0) => [
    [op, sums, plus(op, wasm.v128Load(offset))],
    [atLeast, wasm.v128Store(offset)],
  ];
  /** One sum, in every lane, with everything. (As scalars, the floor would be a jump, which is mispredicted half the time.) */
  const one = (op: Local, sum: Code, offset = 0) => [
    [op, sum, biased, plus(op, wasm.v128Load32Splat(offset))],
    [atLeast, wasm.v128Store32Lane(0, offset)],
  ];
  return [begin, eachRow, biased, atLeast, four, one] as const;
}

/**
 * store: c, out, bias, scale; n1, c1, out1, bias1; n2, c2, out2; n3, out3; floor[, term].
 * For n1 channels × n2 rows × n3 values: out = max(c + bias [+ term], floor), or c · scale + bias. The bias of a channel is one float,
 * `bias1` bytes on from the last; scale (0 for none) is a plane laid out like one channel of the output. The floor comes as its bits.
 */
export const storeWith =
  (term?: Term): Build =>
  (locals, [c, out, bias, scale, ...common]) => {
    const out3 = common[OUT3];
    const pointers = locals(4);
    const [left3, cp, op, sp] = pointers;
    const [sums] = locals(1, wasm.v128);
    const [begin, eachRow, biased, atLeast, four, one] = storing(
      locals,
      pointers,
      [c, out, bias, scale],
      common,
      term,
    );
    const value = [cp, wasm.v128Load32Splat()];
    const scaled = countdown(left3, 1, one(op, [value, sp, wasm.v128Load32Splat(), wasm.f32x4Mul]), [
      add(cp, 4),
      add(op, out3),
      add(sp, out3),
    ]);
    const plain = [
      when(
        [out3, i32(4), wasm.i32Eq],
        vectors(left3, [cp, op], (offset) => four(op, [cp, wasm.v128Load(offset), biased], offset)),
      ),
      term === undefined
        ? countdown(
            left3,
            4,
            set(sums, cp, wasm.v128Load(), biased, atLeast),
            range(4).map((lane) => [op, sums, wasm.v128Store32Lane(lane), add(op, out3)]),
            add(cp, 16),
          )
        : [],
      countdown(left3, 1, one(op, value), add(cp, 4), add(op, out3)),
    ];
    return [begin, eachRow(when(scale, scaled, plain))];
  };

/** Rows two by two: first and second values of both, third and fourth. */
export const pairUp = (rows: readonly Local[], pairs: readonly Local[]): Code =>
  range(rows.length >> 1).map((pair) => {
    const i = 2 * pair;
    return [
      set(pairs[i], rows[i], rows[i + 1], shuffle(0, 4, 1, 5)),
      set(pairs[i + 1], rows[i], rows[i + 1], shuffle(2, 6, 3, 7)),
    ];
  });

/**
 * The vectors that the interleaved rows make: all rows' first values, all rows' second values, and so on. To be paired up before.
 */
export function interleave(rows: readonly Local[], pairs: readonly Local[]): Code[] {
  if (rows.length === 3) {
    const [low, high] = pairs;
    const [, , c] = rows;
    return [
      [low, c, shuffle(0, 1, 4, 2)],
      [low, c, shuffle(3, 5, 3, 5), high, shuffle(0, 1, 4, 5)],
      [high, c, shuffle(6, 2, 3, 7)],
    ];
  }
  // Each is two halves of pairs: half a value of the four, of one pair after the other.
  const across = rows.length / 2;
  return rows.map((_, vector) => {
    const [[a, i], [b, j]] = [2 * vector, 2 * vector + 1].map((half) => {
      const value = Math.floor(half / across);
      return [pairs[2 * (half % across) + (value >> 1)], 2 * (value & 1)] as const;
    });
    return [a, b, shuffle(i, i + 1, 4 + j, 5 + j)];
  });
}

/** How many phases can be stored together. */
export const TOGETHER = [2, 3, 4, 6] as const;

/**
 * storeN: c0 … c(N−1), out, bias; n1, c1, out1, bias1; n2, c2, out2; n3, out3; floor[, term].
 * N phases interleaved: out[i · out3 + j] = max(cj[i] + bias [+ term], floor) for j < N, for n1 channels × n2 rows × n3 values of
 * each; out3 in bytes.
 */
export const storeTogether =
  (phases: number, term?: Term): Build =>
  (locals, parameters) => {
    const [first, ...others] = parameters.slice(0, phases);
    const [out, bias, ...common] = parameters.slice(phases);
    const out3 = common[OUT3];
    const pointers = locals(3);
    const [left3, cp, op] = pointers;
    const [begin, eachRow, biased, , four, one] = storing(locals, pointers, [first, out, bias], common, term);
    const rows = locals(phases, wasm.v128);
    const pairs = locals(phases, wasm.v128);
    // The others are kept as their distances from the first.
    const places = [cp, ...others.map((other) => [cp, other, wasm.i32Add])];
    return [
      begin,
      others.map((other) => set(other, other, first, wasm.i32Sub)),
      eachRow([
        countdown(
          left3,
          4,
          rows.map((row, j) => set(row, places[j], wasm.v128Load(), biased)),
          pairUp(rows, pairs),
          // Four phases may be some of more; others fill the output without gaps.
          interleave(rows, pairs).map((vector, i) =>
            phases === 4 ? [four(op, vector), add(op, out3)] : four(op, vector, 16 * i),
          ),
          phases === 4 ? [] : add(op, 16 * phases),
          add(cp, 16),
        ),
        countdown(
          left3,
          1,
          places.map((place, j) => one(op, [place, wasm.v128Load32Splat()], 4 * j)),
          [add(cp, 4), add(op, out3)],
        ),
      ]),
    ];
  };
