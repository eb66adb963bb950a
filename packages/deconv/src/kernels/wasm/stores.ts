/**
 * stores: the commands that bring results to where they belong: phases side by side, with what is left to be done to sums on their
 * way. Each takes up to twenty integers and loops over a whole block by itself.
 */
import type { FunctionBuilder, Local } from './assembler.js';
import * as wasm from './opcodes.js';

/**
 * What results go through as they are stored at `op`: bias, residual, floor. The residual lies where the output does, a fixed
 * distance away; without one, zeros are read in its place.
 */
function finishing(f: FunctionBuilder, out: Local, residual: Local, floorBits: Local) {
  const [distance, mask] = f.locals(2, wasm.i32);
  const [bias4, floor4] = f.locals(2, wasm.v128);
  f.get(residual).get(out).op(wasm.i32Sub).set(distance);
  f.i32(0).i32(-1).get(residual).op(wasm.i32Eqz).op(wasm.select).set(mask);
  f.get(floorBits).op(wasm.f32ReinterpretI32).op(wasm.f32x4Splat).set(floor4);
  const other = (op: Local) => f.get(op).get(distance).op(wasm.i32Add).get(mask).op(wasm.i32And);
  return {
    /** Takes the bias of a channel from `at`. */
    channel: (at: Local) => f.get(at).access(wasm.v128Load32Splat).set(bias4),
    /** Whether there is a residual. */
    mask,
    /** Four sums at `at`, with their bias. */
    biased: (at: FunctionBuilder, offset = 0) =>
      at.access(wasm.v128Load, offset).get(bias4).op(wasm.f32x4Add),
    /** Four sums on the stack, which go to `offset` bytes behind `op`, with their residual, no less than the floor. */
    four: (op: Local, offset = 0) =>
      other(op).access(wasm.v128Load, offset).op(wasm.f32x4Add).get(floor4).op(wasm.f32x4Pmax),
    /** One sum on the stack, in every lane, with everything, stored. (As scalars, the floor would be a jump, which is mispredicted half the time.) */
    one: (op: Local, offset = 0) => {
      f.get(bias4).op(wasm.f32x4Add);
      other(op).access(wasm.v128Load32Splat, offset).op(wasm.f32x4Add);
      f.get(floor4).op(wasm.f32x4Pmax).storeLane(0, offset);
    },
    /** Four sums on the stack that go to places of their own: no less than the floor. */
    atLeast: () => f.get(floor4).op(wasm.f32x4Pmax),
  };
}

/**
 * store: c, out, bias, scale; n1, c1, out1, bias1; n2, c2, out2; n3, out3; residual, floor.
 * For n1 channels × n2 rows × n3 values: out = max(c + bias + residual, floor), or c · scale + bias. The bias of a channel is one
 * float, `bias1` bytes on from the last; the residual (0 for none) is laid out like the output; scale (0 for none) is a plane laid
 * out like one channel of it. The floor comes as its bits.
 */
export function store(f: FunctionBuilder, p: readonly Local[]): void {
  const [c, out, bias, scale, n1, c1, out1, bias1, n2, c2, out2, n3, out3, residual, floor] = p;
  const [left3, cp, op, sp] = f.locals(4, wasm.i32);
  const four = f.local(wasm.v128);
  const finish = finishing(f, out, residual, floor);
  const channels = [
    [c, c1],
    [out, out1],
    [bias, bias1],
  ] as const;
  f.each(n1, channels, (c, out, bias) => {
    finish.channel(bias);
    const rows = [
      [c, c2],
      [out, out2],
      [scale, out2],
    ] as const;
    f.each(n2, rows, (cRow, oRow, sRow) => {
      f.get(cRow).set(cp).get(oRow).set(op).get(sRow).set(sp).get(n3).set(left3);
      f.get(scale);
      f.if(
        () => {
          f.countdown(left3, 1, () => {
            f.get(op).get(cp).access(wasm.v128Load32Splat);
            f.get(sp).access(wasm.v128Load32Splat).op(wasm.f32x4Mul);
            finish.one(op);
            f.add(cp, 4).add(op, out3).add(sp, out3);
          });
        },
        () => {
          f.get(out3).i32(4).op(wasm.i32Eq);
          f.if(() => {
            for (const vectors of [4, 1])
              f.vectors(left3, vectors, [cp, op], (offset) => {
                finish.biased(f.get(op).get(cp), offset);
                finish.four(op, offset).access(wasm.v128Store, offset);
              });
          });
          f.get(finish.mask).op(wasm.i32Eqz);
          f.if(() =>
            f.countdown(left3, 4, () => {
              finish.biased(f.get(cp));
              finish.atLeast().set(four);
              for (const lane of [0, 1, 2, 3] as const) f.get(op).get(four).storeLane(lane).add(op, out3);
              f.add(cp, 16);
            }),
          );
          f.countdown(left3, 1, () => {
            f.get(op).get(cp).access(wasm.v128Load32Splat);
            finish.one(op);
            f.add(cp, 4).add(op, out3);
          });
        },
      );
    });
  });
}

/** Rows two by two: first and second values of both, third and fourth. */
export function pairUp(f: FunctionBuilder, rows: readonly Local[], pairs: readonly Local[]): void {
  for (let i = 0; i + 1 < rows.length; i += 2) {
    const both = () => f.get(rows[i]).get(rows[i + 1]);
    both().shuffle([0, 4, 1, 5]).set(pairs[i]);
    both()
      .shuffle([2, 6, 3, 7])
      .set(pairs[i + 1]);
  }
}

/** Pushes the vectors that the interleaved rows make: all rows' first values, all rows' second values, and so on. */
export function interleave(
  f: FunctionBuilder,
  rows: readonly Local[],
  pairs: readonly Local[],
): (() => FunctionBuilder)[] {
  pairUp(f, rows, pairs);
  if (rows.length === 3) {
    const [low, high] = pairs;
    const [, , c] = rows;
    return [
      () => f.get(low).get(c).shuffle([0, 1, 4, 2]),
      () => f.get(low).get(c).shuffle([3, 5, 3, 5]).get(high).shuffle([0, 1, 4, 5]),
      () => f.get(high).get(c).shuffle([6, 2, 3, 7]),
    ];
  }
  // Halves of pairs, in the order in which the output has them: each output vector is two of them.
  const halves = [0, 1, 2, 3].flatMap((value) =>
    Array.from({ length: rows.length / 2 }, (_, pair) => ({
      from: pairs[2 * pair + (value >> 1)],
      half: value & 1,
    })),
  );
  return rows.map((_, i) => () => {
    const [a, b] = [halves[2 * i], halves[2 * i + 1]];
    const lanes = (half: number, base: number) => [base + 2 * half, base + 2 * half + 1] as const;
    return f
      .get(a.from)
      .get(b.from)
      .shuffle([...lanes(a.half, 0), ...lanes(b.half, 4)]);
  });
}

/** How many phases can be stored together. */
export const TOGETHER = [2, 3, 4, 6] as const;

/**
 * storeN: c0 … c(N−1), out, bias; n1, c1, out1, bias1; n2, c2, out2; n3, out3; residual, floor.
 * N phases interleaved: out[i · out3 + j] = max(cj[i] + bias + residual, floor) for j < N, for n1 channels × n2 rows × n3 values of
 * each; out3 in bytes; the residual as in store.
 */
export function storeTogether(f: FunctionBuilder, p: readonly Local[], phases: number): void {
  const c = p.slice(0, phases);
  const [out, bias, n1, c1, out1, bias1, n2, c2, out2, n3, out3, residual, floor] = p.slice(phases);
  const [left3, cp, op] = f.locals(3, wasm.i32);
  const finish = finishing(f, out, residual, floor);
  const rows = f.locals(phases, wasm.v128);
  const pairs = f.locals(phases, wasm.v128);
  // The others are kept as their distances from the first.
  for (const other of c.slice(1)) f.get(other).get(c[0]).op(wasm.i32Sub).set(other);
  const place = (j: number) => (j === 0 ? f.get(cp) : f.get(cp).get(c[j]).op(wasm.i32Add));
  const channels = [
    [c[0], c1],
    [out, out1],
    [bias, bias1],
  ] as const;
  f.each(n1, channels, (c, out, bias) => {
    finish.channel(bias);
    const lines = [
      [c, c2],
      [out, out2],
    ] as const;
    f.each(n2, lines, (at, oRow) => {
      f.get(at).set(cp).get(oRow).set(op).get(n3).set(left3);
      f.countdown(left3, 4, () => {
        for (const [j, row] of rows.entries()) {
          finish.biased(place(j)).set(row);
        }
        const vectors = interleave(f, rows, pairs);
        for (const [i, vector] of vectors.entries()) {
          // Four phases may be some of more; others fill the output without gaps.
          const offset = phases === 4 ? 0 : 16 * i;
          f.get(op);
          vector();
          finish.four(op, offset).access(wasm.v128Store, offset);
          if (phases === 4) f.add(op, out3);
        }
        if (phases !== 4) f.add(op, 16 * phases);
        f.add(cp, 16);
      });
      f.countdown(left3, 1, () => {
        for (let j = 0; j < phases; j++) {
          f.get(op);
          place(j).access(wasm.v128Load32Splat);
          finish.one(op, 4 * j);
        }
        f.add(cp, 4).add(op, out3);
      });
    });
  });
}
