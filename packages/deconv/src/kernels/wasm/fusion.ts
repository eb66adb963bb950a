/**
 * fusion: what convolutions of networks take in besides data, weight and bias: channels of a second input, a function that the data
 * goes through first, an array that is added to the sums, a slope per channel, functions of their own.
 */
import type { FusedConvAttributes } from '../../backend.js';
import { range } from '../../shape.js';
import type { Storage } from '../../tensor.js';
import { activate } from './activations.js';
import { add, type Build, i32, set } from './assembler.js';
import * as BASE from './bases.js';
import { type Bases, type Place, type PlanBuilder, product } from './commands.js';
import { activateRows } from './ending.js';
import type { Engine } from './engine.js';
import { buildFormula } from './formula.js';
import { END_FROM, type End, eachBiased, gemm, type Tile } from './microkernels.js';
import * as wasm from './opcodes.js';
import type { Fusion, Machine, Problem } from './problem.js';
import type { Residency } from './storage.js';
import { storeTogether, storeWith, type Term, TOGETHER } from './stores.js';

/** A residual lies where the output does, a fixed distance away. */
const residual: Term = (locals, out, term) => {
  const [distance] = locals(1);
  return [
    set(distance, term, out, wasm.i32Sub),
    (op, load) => [op, distance, wasm.i32Add, load, wasm.f32x4Add],
  ];
};

/** gemm…floorResidual: …; bias, bias2, floor, residual. C is the output, the residual laid out like it: max(sum + bias + residual, floor). */
const residualEnd: End = (locals, parameters, out, acc, [one]) => {
  const [, , , , c, cRow] = parameters;
  const [bias, bias2, floor, term] = parameters.slice(END_FROM);
  const [biasAt, at, distance] = locals(3);
  const [low] = locals(1, wasm.v128);
  return [
    [set(distance, term, c, wasm.i32Sub), set(low, floor, wasm.i32x4Splat)],
    set(biasAt, bias),
    [
      set(at, out, distance, wasm.i32Add),
      eachBiased(acc, one, biasAt, (sums, r) => [
        sums.map((sum, j) => [
          [sum, one, wasm.f32x4Add, at, wasm.v128Load(16 * j), wasm.f32x4Add],
          set(sum, low, wasm.f32x4Pmax),
        ]),
        r + 1 < acc.length ? add(at, cRow) : [],
      ]),
      add(biasAt, bias2),
    ],
  ];
};

/** prelu, as {@link activate}; then slope. Each row has one slope, a float on from the last. */
const prelu: Build = (locals, [c, n1, c1, bias, bias1, count, p, q, slope]) => {
  const [from, four] = locals(2);
  const inputs = [from, c1, bias, bias1, slope, four];
  return [
    [set(from, c), set(four, i32(4))],
    buildFormula('x+b>0 ? x+b : w*(x+b)', 'xbw', '100')(locals, [c, c1, n1, count, ...inputs, p, q]),
  ];
};

/** What builds the kernels that only fusions use, by name. */
const buildsFor = ({ mr, nr, relaxed }: Tile): ReadonlyMap<string, Build> =>
  new Map<string, Build>([
    ['prelu', prelu],
    ['storeResidual', storeWith(residual)],
    ...TOGETHER.map((phases) => [`store${phases}Residual`, storeTogether(phases, residual)] as const),
    ...range(mr).map((i) => [`gemm${i + 1}floorResidual`, gemm(i + 1, nr, relaxed, residualEnd)] as const),
  ]);

/** All that goes into a convolution besides, by its attributes. */
export class NetworkFusion implements Fusion {
  readonly key: string;
  readonly padded: boolean;
  readonly #attributes: FusedConvAttributes;

  constructor(attributes: FusedConvAttributes) {
    const { residual, split, before } = attributes;
    this.key = `${residual}${split}${before?.fn}${before?.parameters}`;
    this.padded = split !== undefined || before !== undefined;
    this.#attributes = attributes;
  }

  machine({ tile, commands, threads }: Engine): Machine {
    const builds = buildsFor(tile);
    return { tile, threads, commands: (name) => commands(name, builds.get(name)) };
  }

  place(addresses: Bases, inputs: readonly Storage[], residency: Residency): void {
    const { residual, split, activation } = this.#attributes;
    const more = split === undefined ? 0 : 1;
    if (split !== undefined) addresses[BASE.second] = residency.address(inputs[inputs.length - 1]);
    const last = inputs[inputs.length - 1 - more];
    if (residual) addresses[BASE.residual] = residency.address(last);
    if (activation?.fn === 'prelu') addresses[BASE.scale] = residency.address(last);
  }

  move(moves: Bases, { inChannels, inSize }: Problem, picture: number): void {
    const { split = inChannels, activation } = this.#attributes;
    const [plane, input = 0] = [4 * product(inSize), moves[BASE.input]];
    moves[BASE.input] = input - picture * (inChannels - split) * plane;
    moves[BASE.second] = input - picture * split * plane;
    moves[BASE.residual] = moves[BASE.output];
    // Slopes lie per channel, as the bias does, not per place.
    if (activation?.fn === 'prelu') moves[BASE.scale] = moves[BASE.bias];
  }

  parts(
    picture: number,
    all: number,
    from: number,
    count: number,
  ): readonly (readonly [base: number, channel: number, first: number, count: number])[] {
    const { split = all } = this.#attributes;
    const inputs = [
      [BASE.input, 0, split],
      [BASE.second, split, all],
    ] as const;
    return inputs.flatMap(([base, begin, end]) => {
      const first = Math.max(from, begin);
      const own = Math.min(from + count, end) - first;
      return own > 0 ? [[base, picture * (end - begin) + first - begin, first - from, own] as const] : [];
    });
  }

  prepare(list: PlanBuilder, count: number, floats: number): void {
    // Padding stays zero.
    activateRows(list, this.#attributes.before, false, 0, 4 * floats, floats, { from: 0, count });
  }

  stored(to: number): readonly [suffix: string, ...Place[]] {
    return this.#attributes.residual ? ['Residual', [BASE.residual, to]] : [''];
  }
}
