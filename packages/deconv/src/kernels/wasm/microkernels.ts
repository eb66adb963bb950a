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
import { ACTIVATIONS, activate } from './activations.js';
import {
  type FunctionBuilder,
  type Local,
  type MemoryLimits,
  ModuleBuilder,
  type ValueType,
} from './assembler.js';
import * as BASE from './bases.js';
import { BASES, COMMAND_ARGUMENTS, COMMAND_WORDS, ITEM_WORDS } from './commands.js';
import * as CONTROL from './control.js';
import { clear, packA, packB, pad, SPLITS, split, turn } from './movers.js';
import * as wasm from './opcodes.js';
import { store, storeTogether, TOGETHER } from './stores.js';
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

/** Bytes at address 0 that are always zero: what a fresh tile starts from, and the row that a missing input reads. */
export const ZEROS = 1024;

/** The parameters of a command. */
export const INTEGERS: readonly ValueType[] = new Array<ValueType>(COMMAND_ARGUMENTS).fill(wasm.i32);

/** What kernels that store to the output itself do to sums after the bias: a residual and a lower bound, or a slope below zero. */
const ENDS = ['floor', 'slope'] as const;
type End = (typeof ENDS)[number];

/**
 * gemm: a, b, table, k, c, cRow, fresh; n1, a1, b1, c1; n2, a2, b2, c2.
 * For each of n1 outer and n2 inner tiles (addresses moving by the given steps): C tile = A panel · B rows, added to
 * what is there unless `fresh`.
 *
 * gemm…floor: …; bias, bias2, residual, floor. C is the output: max(sum + bias + residual, floor). The bias is a float per row, and
 * moves with the inner tiles; the residual (0 for none) is laid out like the output. The floor comes as its bits.
 * gemm…slope: …; bias, bias2, slopes, slopes2. Sums below zero are multiplied by a slope per row.
 */
function gemm(
  f: FunctionBuilder,
  p: readonly Local[],
  rows: number,
  nr: number,
  relaxed: boolean,
  end?: End,
): void {
  const [a, b, table, k, c, cRow, fresh, n1, a1, b1, c1, n2, a2, b2, c2] = p;
  const vectors = nr / 4;
  const acc = f.locals(rows * vectors, wasm.v128);
  const bRow = f.locals(vectors, wasm.v128);
  const aValue = f.local(wasm.v128);
  const [ap, bp, cp, tp, kLeft, row, from, fromRow, inner] = f.locals(9, wasm.i32);
  const ending = end && finishing(f, p, acc, [bRow[0], aValue], end);
  f.i32(0).get(cRow).get(fresh).op(wasm.select).set(fromRow);
  f.countdown(n1, 1, () => {
    ending?.begin();
    f.get(n2).set(inner);
    f.get(a).set(ap).get(b).set(bp).get(c).set(cp);
    f.countdown(inner, 1, () => {
      f.i32(0).get(cp).get(fresh).op(wasm.select).set(from);
      for (let r = 0; r < rows; r++) {
        for (let j = 0; j < vectors; j++)
          f.get(from)
            .access(wasm.v128Load, 16 * j)
            .set(acc[r * vectors + j]);
        if (r + 1 < rows) f.add(from, fromRow);
      }
      f.get(table).set(tp).get(k).set(kLeft);
      f.get(ap).set(from);
      f.countdown(kLeft, 1, () => {
        f.get(tp).access(wasm.i32Load).get(bp).op(wasm.i32Add).set(row);
        const loadB = (j: number) =>
          f
            .get(row)
            .access(wasm.v128Load, 16 * j)
            .set(bRow[j]);
        // With one row each value of B is used once: loaded just before, they do not take all registers at once.
        if (rows > 1) for (let j = 0; j < vectors; j++) loadB(j);
        for (let r = 0; r < rows; r++) {
          f.get(from)
            .access(wasm.v128Load32Splat, 4 * r)
            .set(aValue);
          for (let j = 0; j < vectors; j++) {
            const sum = acc[r * vectors + j];
            if (rows === 1) loadB(j);
            if (relaxed) f.get(aValue).get(bRow[j]).get(sum).op(wasm.f32x4RelaxedMadd).set(sum);
            else f.get(aValue).get(bRow[j]).op(wasm.f32x4Mul).get(sum).op(wasm.f32x4Add).set(sum);
          }
        }
        f.add(from, 4 * rows).add(tp, 4);
      });
      f.get(cp).set(from);
      ending?.finish(from, rows);
      for (let r = 0; r < rows; r++) {
        for (let j = 0; j < vectors; j++)
          f.get(from)
            .get(acc[r * vectors + j])
            .access(wasm.v128Store, 16 * j);
        if (r + 1 < rows) f.add(from, cRow);
      }
      f.add(ap, a2).add(bp, b2).add(cp, c2);
    });
    f.add(a, a1).add(b, b1).add(c, c1);
  });
}

/** The end of a kernel that stores to the output itself, with two free vectors. All loads come before all stores. */
function finishing(
  f: FunctionBuilder,
  p: readonly Local[],
  acc: readonly Local[],
  [one, two]: readonly [Local, Local],
  end: End,
) {
  const [, , , , c, cRow] = p;
  const [bias, bias2, third, fourth] = p.slice(15);
  // `at`: the slopes, or a row of the residual.
  const [biasAt, at, distance, mask] = f.locals(4, wasm.i32);
  const low = f.local(wasm.v128);
  if (end === 'floor') {
    // The residual lies a fixed distance from the output; without one, zeros are read in its place.
    f.get(third).get(c).op(wasm.i32Sub).set(distance);
    f.i32(0).i32(-1).get(third).op(wasm.i32Eqz).op(wasm.select).set(mask);
    f.get(fourth);
  } else f.i32(0);
  f.op(wasm.i32x4Splat).set(low);
  const splat = (from: Local, row: number, to: Local) =>
    f
      .get(from)
      .access(wasm.v128Load32Splat, 4 * row)
      .set(to);
  return {
    begin: () => {
      f.get(bias).set(biasAt);
      if (end === 'slope') f.get(third).set(at);
    },
    finish: (out: Local, rows: number) => {
      const vectors = acc.length / rows;
      if (end === 'floor') f.get(out).get(distance).op(wasm.i32Add).get(mask).op(wasm.i32And).set(at);
      for (let r = 0; r < rows; r++) {
        splat(biasAt, r, one);
        if (end === 'slope') splat(at, r, two);
        for (const [j, sum] of acc.slice(r * vectors, (r + 1) * vectors).entries()) {
          f.get(sum).get(one).op(wasm.f32x4Add);
          if (end === 'floor') {
            f.get(at)
              .access(wasm.v128Load, 16 * j)
              .op(wasm.f32x4Add);
            f.get(low).op(wasm.f32x4Pmax).set(sum);
          } else {
            f.tee(sum).get(sum).get(two).op(wasm.f32x4Mul);
            f.get(sum).get(low).op(wasm.f32x4Gt).op(wasm.v128Bitselect).set(sum);
          }
        }
        if (end === 'floor' && r + 1 < rows)
          f.get(cRow).get(mask).op(wasm.i32And).get(at).op(wasm.i32Add).set(at);
      }
      f.add(biasAt, bias2);
      if (end === 'slope') f.add(at, fourth);
    },
  };
}

/**
 * item(control, bases, thread, number): runs one item of the current stage: moves the bases, then executes its commands.
 */
export function runItem(f: FunctionBuilder, p: readonly Local[], execute: number): void {
  const [control, bases, thread, number] = p;
  const item = f.local(wasm.i32);
  f.get(control).access(wasm.i32Load, 4 * CONTROL.items);
  f.get(number)
    .i32(4 * ITEM_WORDS)
    .op(wasm.i32Mul)
    .op(wasm.i32Add)
    .set(item);
  for (let base = 0; base < BASES; base++) {
    f.get(bases)
      .get(control)
      .access(wasm.i32Load, 4 * (CONTROL.bases + base));
    if (base === BASE.work) {
      f.get(thread)
        .get(control)
        .access(wasm.i32Load, 4 * CONTROL.stride)
        .op(wasm.i32Mul)
        .op(wasm.i32Add);
    }
    f.get(item)
      .access(wasm.i32Load, 4 * (2 + base))
      .op(wasm.i32Add)
      .access(wasm.i32Store, 4 * base);
  }
  f.get(control).access(wasm.i32Load, 4 * CONTROL.commands);
  f.get(item)
    .access(wasm.i32Load)
    .i32(4 * COMMAND_WORDS)
    .op(wasm.i32Mul)
    .op(wasm.i32Add);
  f.get(item).access(wasm.i32Load, 4).get(bases).call(execute);
}

/**
 * drain(control, bases, thread): takes items of the current stage until none is left, and runs them.
 *
 * A ticket is (epoch, number). It counts only if its epoch is still current *after* the number of items was read: the
 * caller writes a new epoch before a new count, so a count read under the old epoch belongs to it. A thread that comes
 * late, or between two stages, therefore takes nothing. While it works on an item, a thread says so in its word of
 * `doing`; that word is cleared before the item is counted as done.
 */
export function drain(f: FunctionBuilder, p: readonly Local[], item: number): void {
  const [control, bases, thread] = p;
  const [ticket, count, doing] = f.locals(3, wasm.i32);
  f.get(control).get(thread).i32(2).op(wasm.i32Shl).op(wasm.i32Add).set(doing);
  f.block((leave) => {
    f.loop((again) => {
      f.get(control)
        .i32(1)
        .access(wasm.i32AtomicRmwAdd, 4 * CONTROL.next)
        .set(ticket);
      f.get(control)
        .access(wasm.i32AtomicLoad, 4 * CONTROL.count)
        .set(count);
      f.get(control)
        .access(wasm.i32AtomicLoad, 4 * CONTROL.epoch)
        .i32(0xffff)
        .op(wasm.i32And);
      f.get(ticket).i32(16).op(wasm.i32ShrU).op(wasm.i32Ne);
      leave();
      f.get(ticket).i32(0xffff).op(wasm.i32And).get(count).op(wasm.i32GeU);
      leave();
      f.get(doing)
        .get(ticket)
        .access(wasm.i32AtomicStore, 4 * CONTROL.doing);
      f.get(control).get(bases).get(thread).get(ticket).i32(0xffff).op(wasm.i32And).call(item);
      f.get(doing)
        .i32(-1)
        .access(wasm.i32AtomicStore, 4 * CONTROL.doing);
      f.get(control)
        .i32(1)
        .access(wasm.i32AtomicRmwAdd, 4 * CONTROL.done)
        .op(wasm.drop);
      f.i32(1);
      again();
    });
  });
}

/** Builds the body of a command out of its twenty parameters. */
export type KernelBuild = (f: FunctionBuilder, p: readonly Local[]) => void;

/** What builds each of the commands, by name, for a tile. */
export function kernelBuilds({ mr, nr, relaxed }: Tile): ReadonlyMap<string, KernelBuild> {
  const builds = new Map<string, KernelBuild>([
    ['pad', pad],
    ['packA', packA],
    ['packB', (f, p) => packB(f, p, nr)],
    ['store', store],
    ['turn', turn],
    ['clear', clear],
  ]);
  for (let rows = 1; rows <= mr; rows++) {
    builds.set(`gemm${rows}`, (f, p) => gemm(f, p, rows, nr, relaxed));
    builds.set(`half${rows}`, (f, p) => gemm(f, p, rows, nr / 2, relaxed));
    for (const end of ENDS) builds.set(`gemm${rows}${end}`, (f, p) => gemm(f, p, rows, nr, relaxed, end));
  }
  for (const [rows, strips] of WIDER)
    builds.set(`wider${rows}`, (f, p) => gemm(f, p, rows, nr * strips, relaxed));
  for (const step of SPLITS) builds.set(`split${step}`, (f, p) => split(f, p, step));
  for (const phases of TOGETHER) builds.set(`store${phases}`, (f, p) => storeTogether(f, p, phases));
  for (const form of FORMS) {
    const { input, weight, output } = namesOf(form);
    builds.set(input, (f, p) => tileInput(f, p, form, nr / 8, relaxed));
    builds.set(weight, (f, p) => tileWeight(f, p, form));
    builds.set(output, (f, p) => tileOutput(f, p, form, relaxed));
  }
  for (const [fn, formula] of Object.entries(ACTIVATIONS)) builds.set(fn, (f, p) => activate(f, p, formula));
  return builds;
}

/**
 * The module that all threads begin with: `execute(list, count, bases)` runs `count` commands from address `list`, each argument
 * being bases[base] + offset; `item` and `drain` run items. The commands themselves are made when a plan first wants them, each as a
 * module of its own (shelf.ts): a program uses a handful, and making all would take longer than its first call.
 */
export function coreModule(memory: MemoryLimits): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder(memory);
  m.func('nothing', INTEGERS, () => {});
  m.func('execute', [wasm.i32, wasm.i32, wasm.i32], (f, list, count, bases) => {
    f.countdown(count, 1, () => {
      for (let i = 0; i < COMMAND_ARGUMENTS; i++) {
        f.get(list)
          .access(wasm.i32Load, 4 + 8 * i)
          .i32(2)
          .op(wasm.i32Shl)
          .get(bases)
          .op(wasm.i32Add)
          .access(wasm.i32Load);
        f.get(list)
          .access(wasm.i32Load, 8 + 8 * i)
          .op(wasm.i32Add);
      }
      f.get(list).access(wasm.i32Load).callIndirect(m.indexOf('nothing'));
      f.add(list, 4 * COMMAND_WORDS);
    });
  });
  m.func('item', [wasm.i32, wasm.i32, wasm.i32, wasm.i32], (f, ...p) => runItem(f, p, m.indexOf('execute')));
  m.func('drain', [wasm.i32, wasm.i32, wasm.i32], (f, ...p) => drain(f, p, m.indexOf('item')));
  return m.bytes();
}

/** A module of one kernel, as `command`. */
export const kernelModule = (build: KernelBuild, memory: MemoryLimits): Uint8Array<ArrayBuffer> =>
  new ModuleBuilder(memory).func('command', INTEGERS, (f, ...p) => build(f, p)).bytes();
