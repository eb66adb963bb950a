/**
 * depthwise-kernel: convolutions of single planes. A plane, or a band of one, is copied to where there are zeros around it, small enough
 * to stay in the cache; then its outputs are summed tap by tap in registers, sixteen at a time, and stored at once.
 */
import type { FunctionBuilder, Local } from './assembler.js';
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
export function depthwise(
  f: FunctionBuilder,
  parameters: readonly Local[],
  { taps: [rows, columns], dilation: [down, across], stride: [by, step], flipped }: DepthwiseKind,
  relaxed: boolean,
): void {
  const [out, outPlane, outRow, src, srcPlane, line, padded, inner, pitch] = parameters;
  const [height, width, weight, bias, floor, ceiling, n0, n1, n] = parameters.slice(9);
  const [to, left, extent, target, rowStep, biasStep] = f.locals(6, wasm.i32);
  const at = f.locals(rows, wasm.i32);
  const count = rows * columns;
  const kept = count <= KEPT_WEIGHTS ? f.locals(count, wasm.v128) : undefined;
  const vectors = step === 1 ? 4 : 2;
  const sums = f.locals(vectors, wasm.v128);
  const [tap, low, high, start, least, most] = f.locals(6, wasm.v128);
  f.get(floor).op(wasm.f32ReinterpretI32).op(wasm.f32x4Splat).set(least);
  f.get(ceiling).op(wasm.f32ReinterpretI32).op(wasm.f32x4Splat).set(most);
  f.i32(4).i32(0).get(bias).op(wasm.select).set(biasStep);
  f.get(pitch).i32(by).op(wasm.i32Mul).set(rowStep);
  f.get(padded).get(inner).op(wasm.i32Add).set(target);
  // All rows that the outputs see, and a few floats that vectors read beyond.
  f.get(n1).i32(1).op(wasm.i32Sub).i32(by).op(wasm.i32Mul);
  f.i32((rows - 1) * down + 1)
    .op(wasm.i32Add)
    .get(pitch)
    .op(wasm.i32Mul)
    .i32(64)
    .op(wasm.i32Add)
    .set(extent);

  const add = (v: number) => {
    if (relaxed) f.get(sums[v]).op(wasm.f32x4RelaxedMadd).set(sums[v]);
    else f.op(wasm.f32x4Mul).get(sums[v]).op(wasm.f32x4Add).set(sums[v]);
  };
  /** So many vectors of outputs: values, times the weight of their tap. */
  const sumUp = (vectors: number) => {
    for (let v = 0; v < vectors; v++) f.get(start).set(sums[v]);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const own = kept?.[i * columns + j] ?? tap;
        if (kept === undefined) loadWeight(i * columns + j, tap);
        for (let v = 0; v < vectors; v++) {
          const offset = 4 * (across * j + 4 * step * v);
          // With one vector at a time the odd floats come from the same two vectors as the even ones before them.
          const again = vectors === 1 && across === 1 && j % 2 === 1;
          if (step === 1) f.get(at[i]).access(wasm.v128Load, offset);
          else if (again) f.get(low).get(high).shuffle([1, 3, 5, 7]);
          else {
            f.get(at[i]).access(wasm.v128Load, offset).set(low);
            f.get(at[i])
              .access(wasm.v128Load, offset + 16)
              .set(high);
            f.get(low).get(high).shuffle([0, 2, 4, 6]);
          }
          f.get(own);
          add(v);
        }
      }
  };
  const loadWeight = (number: number, local: Local) =>
    f
      .get(weight)
      .access(wasm.v128Load32Splat, 4 * (flipped ? count - 1 - number : number))
      .set(local);
  /** A vector of outputs, on the stack. */
  const ended = (v: number) => f.get(sums[v]).get(least).op(wasm.f32x4Pmax).get(most).op(wasm.f32x4Pmin);
  const forward = (floats: number) => {
    for (const local of at) f.add(local, 4 * step * floats);
    f.add(to, 4 * floats);
  };

  const planes = [
    [src, srcPlane],
    [out, outPlane],
  ] as const;
  f.each(n0, planes, (sPlane, oPlane) => {
    f.get(padded).i32(0).get(extent).memoryFill();
    copyPlane(f, [sPlane, line, target, pitch, height, width]);
    for (const [number, local] of kept?.entries() ?? []) loadWeight(number, local);
    f.get(bias).access(wasm.v128Load32Splat).set(start);
    const outputs = [
      [padded, rowStep],
      [oPlane, outRow],
    ] as const;
    f.each(n1, outputs, (sRow, oRow) => {
      f.get(sRow).set(at[0]).get(oRow).set(to).get(n).set(left);
      for (let i = 1; i < rows; i++)
        f.get(sRow)
          .get(pitch)
          .i32(i * down)
          .op(wasm.i32Mul)
          .op(wasm.i32Add)
          .set(at[i]);
      f.countdown(left, 4 * vectors, () => {
        sumUp(vectors);
        for (let v = 0; v < vectors; v++) {
          f.get(to);
          ended(v).access(wasm.v128Store, 16 * v);
        }
        forward(4 * vectors);
      });
      const pointers = [[to, 4] as const, ...at.map((local) => [local, 4 * step] as const)];
      inFours(f, left, n, pointers, () =>
        f.countdown(left, 4, () => {
          sumUp(1);
          f.get(to);
          ended(0).access(wasm.v128Store);
          forward(4);
        }),
      );
      f.countdown(left, 1, () => {
        sumUp(1);
        f.get(to);
        ended(0).storeLane(0);
        forward(1);
      });
    });
    f.add(weight, 4 * count).add(bias, biasStep);
  });
}
