/**
 * microkernels: the inner loops, as WebAssembly made at run time. Each is a *command*: a function of twenty integers
 * (addresses, counts and byte steps) without a result. A plan is a list of commands; `execute` runs a stretch of it.
 *
 * The one that matters is `gemm<MR>`: C[MR × NR] += A[MR × K] · B[K × NR] for a whole grid of tiles. A comes in panels
 * of MR values per k, packed once per weight. B is not packed: row k of the tile starts at `b + table[k]`, which for a
 * convolution is a row of the input itself, shifted by one tap. The accumulators stay in registers for the whole of K;
 * 6 × 8 floats (6 × 16 where the engine fuses pairs of 128-bit operations) leave just room for one row of B and one
 * value of A in the fifteen vector registers V8 hands out.
 *
 * A microkernel contains no shuffle and no load between its last stores: either would keep V8 from fusing its vectors to
 * 256 bits. Interleaving is done by `store2` and its like, from a small buffer.
 */

import { FORMS } from '../../geometry/winograd.js';
import { range } from '../../shape.js';
import { ACTIVATIONS, activate } from './activations.js';
import {
  add,
  addProduct,
  type Build,
  block,
  branchIf,
  type Code,
  call,
  callIndirect,
  countdown,
  encodeModule,
  i32,
  type Local,
  type Locals,
  loop,
  type MemoryLimits,
  set,
  tee,
  type ValueType,
} from './assembler.js';
import * as BASE from './bases.js';
import { BASES, COMMAND_ARGUMENTS, COMMAND_WORDS, ITEM_WORDS } from './commands.js';
import * as CONTROL from './control.js';
import { clear, packA, packB, pad, SPLITS, split, touch, turn } from './movers.js';
import * as wasm from './opcodes.js';
import { storeTogether, storeWith, TOGETHER } from './stores.js';
import { namesOf, tileInput, tileOutput, tileWeight } from './winograd-kernels.js';

/** The register tile and the arithmetic to generate for. */
export interface Tile {
  /** Rows of the tile: values of A per k. */
  readonly mr: number;
  /** Columns of the tile in floats, a multiple of 4: values of B per k. */
  readonly nr: number;
  /** Fused multiply–add in one rounding; else a multiplication and an addition. */
  readonly relaxed: boolean;
}

/**
 * Tiles of few rows, made wider instead so that the registers stay in use: rows, and strips of NR floats per tile. Three
 * strips take two tiles of three rows.
 */
export const WIDER: readonly (readonly [rows: number, strips: number])[] = [
  [1, 4],
  [2, 2],
  [3, 1.5],
];

/**
 * The kernels for `height` rows of so many positions in strips of `nr`: which, from which strip on, how many times, and strips each
 * takes. The last strip is half a one if that will do.
 */
export function kernelsFor(height: number, positions: number, nr: number) {
  const half = height > 1 && (positions - 1) % nr < nr / 2 ? 1 : 0;
  const strips = Math.ceil(positions / nr) - half;
  const wider = WIDER.find(([few]) => few === height)?.[1] ?? 1;
  // Wider tiles by whole strips (three strips make two tiles of one and a half), then what is left.
  const unit = Number.isInteger(wider) ? wider : 2 * wider;
  const whole = wider === 1 ? 0 : strips - (strips % unit);
  const kernels = [
    { name: `wider${height}`, from: 0, count: whole / wider, step: wider },
    { name: `gemm${height}`, from: whole, count: strips - whole, step: 1 },
    { name: `half${height}`, from: strips, count: half, step: 1 },
  ];
  return kernels.filter(({ count }) => count > 0);
}

/** The parameters of a command. */
export const INTEGERS: readonly ValueType[] = new Array<ValueType>(COMMAND_ARGUMENTS).fill(wasm.i32);

/**
 * The end of a kernel that stores to the output itself, with two free vectors: what is done before all else, before the tiles of
 * a row of them, and before a tile is stored at `out`. All loads come before all stores.
 */
export type End = (
  locals: Locals,
  parameters: readonly Local[],
  out: Local,
  acc: readonly (readonly Local[])[],
  free: readonly [Local, Local],
) => readonly [before: Code, begin: Code, finish: Code];

/**
 * gemm: a, b, table, k, c, cRow, fresh; n1, a1, b1, c1; n2, a2, b2, c2.
 * For each of n1 outer and n2 inner tiles (addresses moving by the given steps): C tile = A panel · B rows, added to
 * what is there unless `fresh`.
 *
 * gemm…floor: …; bias, bias2, floor. C is the output: max(sum + bias, floor). The bias is a float per row, and moves with the inner
 * tiles. The floor comes as its bits.
 * gemm…slope: …; bias, bias2, slopes, slopes2. Sums below zero are multiplied by a slope per row.
 */
export const gemm =
  (rows: number, nr: number, relaxed: boolean, end?: End): Build =>
  (locals, parameters) => {
    const [a, b, table, k, c, cRow, fresh, n1, a1, b1, c1, n2, a2, b2, c2] = parameters;
    const vectors = nr / 4;
    const acc = range(rows).map(() => locals(vectors, wasm.v128));
    const bRow = locals(vectors, wasm.v128);
    const [aValue] = locals(1, wasm.v128);
    const [ap, bp, cp, tp, kLeft, row, from, fromRow, inner] = locals(9);
    const [before, begin, finish] = end?.(locals, parameters, from, acc, [bRow[0], aValue]) ?? [[], [], []];
    /** What is done to all sums of the tile, row by row, `step` bytes apart. */
    const eachSum = (step: Local, visit: (sum: Local, offset: number) => Code) =>
      acc.map((sums, r) => [sums.map((sum, j) => visit(sum, 16 * j)), r + 1 < rows ? add(from, step) : []]);
    const loadB = bRow.map((local, j) => set(local, row, wasm.v128Load(16 * j)));
    const tile = [
      set(from, i32(0), cp, fresh, wasm.select),
      eachSum(fromRow, (sum, offset) => set(sum, from, wasm.v128Load(offset))),
      [set(tp, table), set(kLeft, k), set(from, ap)],
      countdown(
        kLeft,
        1,
        set(row, tp, wasm.i32Load(), bp, wasm.i32Add),
        // With one row each value of B is used once: loaded just before, they do not take all registers at once.
        rows > 1 ? loadB : [],
        acc.map((sums, r) => [
          set(aValue, from, wasm.v128Load32Splat(4 * r)),
          sums.map((sum, j) => [rows > 1 ? [] : loadB[j], addProduct(relaxed, sum, aValue, bRow[j])]),
        ]),
        [add(from, 4 * rows), add(tp, 4)],
      ),
      set(from, cp),
      finish,
      eachSum(cRow, (sum, offset) => [from, sum, wasm.v128Store(offset)]),
    ];
    return [
      before,
      set(fromRow, i32(0), cRow, fresh, wasm.select),
      countdown(
        n1,
        1,
        [begin, set(inner, n2)],
        [set(ap, a), set(bp, b), set(cp, c)],
        countdown(inner, 1, tile, add(ap, a2), add(bp, b2), add(cp, c2)),
        [add(a, a1), add(b, b1), add(c, c1)],
      ),
    ];
  };

/** For each row of sums, with its bias in `one`, which the rows' biases from `biasAt` on are loaded to. */
export const eachBiased = (
  acc: readonly (readonly Local[])[],
  one: Local,
  biasAt: Local,
  body: (sums: readonly Local[], row: number) => Code,
): Code => acc.map((sums, r) => [set(one, biasAt, wasm.v128Load32Splat(4 * r)), body(sums, r)]);

/** Where the parameters of an {@link End} begin. */
export const END_FROM = 15;

const floorEnd: End = (locals, parameters, _, acc, [one]) => {
  const [bias, bias2, floor] = parameters.slice(END_FROM);
  const [biasAt] = locals(1);
  const [low] = locals(1, wasm.v128);
  return [
    set(low, floor, wasm.i32x4Splat),
    set(biasAt, bias),
    [
      eachBiased(acc, one, biasAt, (sums) =>
        sums.map((sum) => set(sum, sum, one, wasm.f32x4Add, low, wasm.f32x4Pmax)),
      ),
      add(biasAt, bias2),
    ],
  ];
};

const slopeEnd: End = (locals, parameters, _, acc, [one, two]) => {
  const [bias, bias2, slopes, slopes2] = parameters.slice(END_FROM);
  const [biasAt, at] = locals(2);
  const [zero] = locals(1, wasm.v128);
  return [
    set(zero, i32(0), wasm.i32x4Splat),
    [set(biasAt, bias), set(at, slopes)],
    [
      eachBiased(acc, one, biasAt, (sums, r) => [
        set(two, at, wasm.v128Load32Splat(4 * r)),
        sums.map((sum) => [
          [sum, one, wasm.f32x4Add, tee(sum), sum, two, wasm.f32x4Mul],
          set(sum, sum, zero, wasm.f32x4Gt, wasm.v128Bitselect),
        ]),
      ]),
      [add(biasAt, bias2), add(at, slopes2)],
    ],
  ];
};

/** Numbers of functions of {@link coreModule}. */
const EXECUTE = 1;
const ITEM = 2;

/**
 * item(control, bases, thread, number): runs one item of the current stage: moves the bases, then executes its commands.
 */
export const runItem: Build = (locals, [control, bases, thread, number]) => {
  const [item] = locals(1);
  const controlled = (word: number) => [control, wasm.i32Load(4 * word)];
  return [
    set(item, controlled(CONTROL.items), number, i32(4 * ITEM_WORDS), wasm.i32Mul, wasm.i32Add),
    range(BASES).map((base) => [
      [bases, controlled(CONTROL.bases + base)],
      base === BASE.work ? [thread, controlled(CONTROL.stride), wasm.i32Mul, wasm.i32Add] : [],
      [item, wasm.i32Load(4 * (2 + base)), wasm.i32Add, wasm.i32Store(4 * base)],
    ]),
    [controlled(CONTROL.commands), item, wasm.i32Load(), i32(4 * COMMAND_WORDS), wasm.i32Mul, wasm.i32Add],
    [item, wasm.i32Load(4), bases, call(EXECUTE)],
  ];
};

/**
 * drain(control, bases, thread): takes items of the current stage until none is left, and runs them.
 *
 * A ticket is (epoch, number). It counts only if its epoch is still current *after* the number of items was read: the
 * caller writes a new epoch before a new count, so a count read under the old epoch belongs to it. A thread that comes
 * late, or between two stages, therefore takes nothing. While it works on an item, a thread says so in its word of
 * `doing`; that word is cleared before the item is counted as done.
 */
export const drain: Build = (locals, [control, bases, thread]) => {
  const [ticket, count, doing] = locals(3);
  const number = [ticket, i32(0xffff), wasm.i32And];
  return [
    set(doing, control, thread, i32(2), wasm.i32Shl, wasm.i32Add),
    block(
      loop(
        set(ticket, control, i32(1), wasm.i32AtomicRmwAdd(4 * CONTROL.next)),
        set(count, control, wasm.i32AtomicLoad(4 * CONTROL.count)),
        branchIf(
          1,
          [control, wasm.i32AtomicLoad(4 * CONTROL.epoch), i32(0xffff), wasm.i32And],
          [ticket, i32(16), wasm.i32ShrU, wasm.i32Ne],
        ),
        branchIf(1, number, count, wasm.i32GeU),
        [doing, ticket, wasm.i32AtomicStore(4 * CONTROL.doing)],
        [control, bases, thread, number, call(ITEM)],
        [doing, i32(-1), wasm.i32AtomicStore(4 * CONTROL.doing)],
        [control, i32(1), wasm.i32AtomicRmwAdd(4 * CONTROL.done), wasm.drop],
        branchIf(0, i32(1)),
      ),
    ),
  ];
};

/** What builds each of the commands, by name, for a tile. */
export function kernelBuilds({ mr, nr, relaxed }: Tile): ReadonlyMap<string, Build> {
  const gemms = range(mr).flatMap((i): [string, Build][] => {
    const rows = i + 1;
    return [
      [`gemm${rows}`, gemm(rows, nr, relaxed)],
      [`half${rows}`, gemm(rows, nr / 2, relaxed)],
      [`gemm${rows}floor`, gemm(rows, nr, relaxed, floorEnd)],
      [`gemm${rows}slope`, gemm(rows, nr, relaxed, slopeEnd)],
    ];
  });
  return new Map<string, Build>([
    ['pad', pad],
    ['packA', packA],
    ['packB', packB(nr)],
    ['store', storeWith()],
    ['turn', turn],
    ['clear', clear],
    ['touch', touch],
    ...gemms,
    ...WIDER.map(([rows, strips]) => [`wider${rows}`, gemm(rows, nr * strips, relaxed)] as const),
    ...SPLITS.map((step) => [`split${step}`, split(step)] as const),
    ...TOGETHER.map((phases) => [`store${phases}`, storeTogether(phases)] as const),
    ...FORMS.flatMap((form): [string, Build][] => {
      const { input, weight, output } = namesOf(form);
      return [
        [input, tileInput(form, nr / 8, relaxed)],
        [weight, tileWeight(form)],
        [output, tileOutput(form, relaxed)],
      ];
    }),
    ...Object.entries(ACTIVATIONS).map(([fn, formula]) => [fn, activate(formula)] as const),
  ]);
}

/**
 * The module that all threads begin with: `execute(list, count, bases)` runs `count` commands from address `list`, each argument
 * being bases[base] + offset; `item` and `drain` run items. The commands themselves are made when a plan first wants them, each as a
 * module of its own (shelf.ts): a program uses a handful, and making all would take longer than its first call.
 */
export function coreModule(memory: MemoryLimits): Uint8Array<ArrayBuffer> {
  const execute: Build = (_, [list, count, bases]) =>
    countdown(
      count,
      1,
      range(COMMAND_ARGUMENTS).map((i) => [
        [list, wasm.i32Load(4 + 8 * i), i32(2), wasm.i32Shl, bases, wasm.i32Add, wasm.i32Load()],
        [list, wasm.i32Load(8 + 8 * i), wasm.i32Add],
      ]),
      [list, wasm.i32Load(), callIndirect],
      add(list, 4 * COMMAND_WORDS),
    );
  return encodeModule(memory, [
    ['nothing', INTEGERS, () => []],
    ['execute', INTEGERS.slice(0, 3), execute],
    ['item', INTEGERS.slice(0, 4), runItem],
    ['drain', INTEGERS.slice(0, 3), drain],
  ]);
}

/** A module of one kernel, as `command`. */
export const kernelModule = (build: Build, memory: MemoryLimits): Uint8Array<ArrayBuffer> =>
  encodeModule(memory, [['command', INTEGERS, build]]);
