/**
 * depthwise-kernel: convolutions of single planes. A plane, or a band of one, is copied to where there are zeros around it, small enough
 * to stay in the cache; then its outputs are summed tap by tap in registers, sixteen at a time, and stored at once.
 */
import { range } from '../../shape.js';
import {
  add,
  addProduct,
  type Build,
  countdown,
  each,
  i32,
  type Local,
  memoryFill,
  set,
  shuffle,
} from './assembler.js';
import { copyPlane, inFours } from './movers.js';
import * as wasm from './opcodes.js';

/** What a kernel is made for. */
export interface DepthwiseKind {
  /** Taps down and across, and how far they lie apart, in rows and floats. */
  readonly taps: readonly [rows: number, columns: number];
  readonly dilation: readonly [rows: number, floats: number];
  /** Rows and floats from output to output; at most two floats. */
  readonly stride: readonly [rows: number, floats: number];
  /** The first tap is the weight's last. */
  readonly flipped: boolean;
}

/** The name of a kernel. */
export const depthwiseName = ({ taps, dilation, stride, flipped }: DepthwiseKind): string =>
  `depthwise${taps},${dilation},${stride}${flipped ? 'flipped' : ''}`;

/** Taps whose weights stay in registers, at most. */
const KEPT_WEIGHTS = 9;

/**
 * depthwise…: out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch, rows, width, weight, bias, floor, ceiling, n0, n1, n.
 * For n0 channels: `rows` rows of `width` floats, `line` bytes apart at `src`, are copied to `padded` + `inner`, in rows `pitch` bytes
 * apart, all else there is zero; then n1 rows of n outputs are bias + Σ weight · value, at least `floor` and at most `ceiling` (their
 * bits; NaN stays). A bias of 0 is none.
 */
export const depthwise =
  (kind: DepthwiseKind, relaxed: boolean): Build =>
  (locals, parameters) => {
    const {
      taps: [rows, columns],
      dilation: [down, across],
      stride: [by, step],
      flipped,
    } = kind;
    const [out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch] = parameters;
    const [height, width, weight, bias, floor, ceiling, n0, n1, n] = parameters.slice(9);
    const [to, left, extent, target, rowStep, biasStep] = locals(6);
    const at = locals(rows);
    const count = rows * columns;
    const kept = count <= KEPT_WEIGHTS ? locals(count, wasm.v128) : [];
    const most = step === 1 ? 4 : 2;
    const sums = locals(most, wasm.v128);
    const [tap, low, high, start, least, greatest] = locals(6, wasm.v128);
    const loadWeight = (number: number, local: Local) =>
      set(local, weight, wasm.v128Load32Splat(4 * (flipped ? count - 1 - number : number)));
    /** So many vectors of outputs: values, times the weight of their tap. */
    const sumUp = (vectors: number) => {
      const taken = sums.slice(0, vectors);
      /** Four values, `step` floats apart. */
      const values = (row: Local, j: number, v: number) => {
        const offset = 4 * (across * j + 4 * step * v);
        if (step === 1) return [row, wasm.v128Load(offset)];
        // With one vector at a time the odd floats come from the same two vectors as the even ones before them.
        if (vectors === 1 && across === 1 && j % 2 === 1) return [low, high, shuffle(1, 3, 5, 7)];
        return [
          set(low, row, wasm.v128Load(offset)),
          set(high, row, wasm.v128Load(offset + 16)),
          [low, high, shuffle(0, 2, 4, 6)],
        ];
      };
      return [
        taken.map((sum) => set(sum, start)),
        at.map((row, i) =>
          range(columns).map((j) => {
            const number = i * columns + j;
            return [
              number in kept ? [] : loadWeight(number, tap),
              taken.map((sum, v) => addProduct(relaxed, sum, values(row, j, v), kept[number] ?? tap)),
            ];
          }),
        ),
      ];
    };
    /** A vector of outputs, on the stack, above where it goes. */
    const ended = (sum: Local) => [to, sum, least, wasm.f32x4Pmax, greatest, wasm.f32x4Pmin];
    const forward = (floats: number) => [at.map((row) => add(row, 4 * step * floats)), add(to, 4 * floats)];
    const steps = [4, ...at.map(() => 4 * step)];
    const row = (sRow: Local, oRow: Local) => [
      [set(at[0], sRow), set(to, oRow), set(left, n)],
      at.slice(1).map((local, i) => set(local, sRow, pitch, i32((i + 1) * down), wasm.i32Mul, wasm.i32Add)),
      countdown(
        left,
        4 * most,
        sumUp(most),
        sums.map((sum, v) => [ended(sum), wasm.v128Store(16 * v)]),
        forward(4 * most),
      ),
      inFours(
        locals,
        left,
        n,
        [to, ...at],
        steps,
        countdown(left, 4, sumUp(1), [ended(sums[0]), wasm.v128Store()], forward(4)),
      ),
      countdown(left, 1, sumUp(1), [ended(sums[0]), wasm.v128Store32Lane(0)], forward(1)),
    ];
    return [
      set(least, floor, wasm.f32ReinterpretI32, wasm.f32x4Splat),
      set(greatest, ceiling, wasm.f32ReinterpretI32, wasm.f32x4Splat),
      set(biasStep, i32(4), i32(0), bias, wasm.select),
      set(rowStep, pitch, i32(by), wasm.i32Mul),
      set(target, padded, inner, wasm.i32Add),
      // All rows that the outputs see, and a few floats that vectors read beyond.
      [n1, i32(1), wasm.i32Sub, i32(by), wasm.i32Mul, i32((rows - 1) * down + 1), wasm.i32Add],
      set(extent, pitch, wasm.i32Mul, i32(64), wasm.i32Add),
      // Planes lie where the ones before them did: what is around them stays zero.
      [padded, i32(0), extent, memoryFill],
      each(locals, n0, [src, out], [srcPlane, outPlane], (sPlane, oPlane) => [
        copyPlane(locals, [sPlane, line, target, pitch, height, width]),
        kept.map((local, number) => loadWeight(number, local)),
        set(start, bias, wasm.v128Load32Splat()),
        each(locals, n1, [padded, oPlane], [rowStep, outRow], row),
        [add(weight, 4 * count), add(bias, biasStep)],
      ]),
    ];
  };
