/**
 * commands: what plans are made of and threads agree on. A command is the number of a function and, for each of its
 * arguments, a base and an offset; a plan is a list of commands, tables that they read, and items: stretches of the list
 * with shifts for the bases. The words of each in linear memory are fixed here, for those who write and who read them.
 */

import { range } from '../../shape.js';
import * as BASE from './bases.js';
import * as CONTROL from './control.js';

export { sizeOf as product } from '../../shape.js';

/** Integers that a command takes. */
export const COMMAND_ARGUMENTS = 20;

/** Words of one command in a list: the function's number, then a base and an offset for each argument. */
export const COMMAND_WORDS = 1 + 2 * COMMAND_ARGUMENTS;

/** Number of bases. */
export const BASES = 12;

/** Bytes for some of the bases, by their numbers; 0 for the others. */
export type Bases = Partial<Record<number, number>>;
export type ByBase = Readonly<Bases>;

/** Words of an item: first command, number of commands, and what to add to each base. */
export const ITEM_WORDS = 2 + BASES;

/**
 * Where the control block lies. All bytes before it are always zero: what a fresh tile starts from, the row that a missing input
 * reads, the bias where there is none.
 */
export const CONTROL_AT = 1024;

/** Words of the control block. */
export const CONTROL_WORDS = 256;

/** Address of the flag of a call. */
export const FLAG_AT = CONTROL_AT + 4 * CONTROL.flag;

/** The number of a command by its name; throws where there is none. */
export type Commands = (name: string) => number;

/** A place in memory: bytes from a base. */
export type Place = readonly [base: number, offset: number];

type Argument = number | Place;

/** Builds a plan: its commands, and the tables that they read. */
export function planBuilder(commands: Commands) {
  const words: number[] = [];
  const tables: number[] = [];
  let workBytes = 0;
  return {
    /** Appends a command. */
    push(name: string, ...given: readonly Argument[]): void {
      words.push(commands(name));
      for (let i = 0; i < COMMAND_ARGUMENTS; i++) {
        const argument = given[i] ?? 0;
        if (typeof argument === 'number') words.push(BASE.zero, argument);
        else words.push(argument[0], argument[1]);
      }
    },

    /** The commands that `emit` appends. */
    stretch(emit: () => void): Stretch {
      const first = words.length / COMMAND_WORDS;
      emit();
      return { first, count: words.length / COMMAND_WORDS - first };
    },

    /** Appends integers to the tables and tells where they lie, in bytes. */
    table(values: readonly number[]): number {
      const at = 4 * tables.length;
      for (const value of values) tables.push(value);
      return at;
    },

    /** Asks for so many bytes of work space. */
    work(bytes: number): void {
      workBytes = Math.max(workBytes, bytes);
    },

    /** The plan of all that was appended. */
    plan(rest: Pick<Plan, 'stages' | 'flops'> & Partial<Plan>): Plan {
      const none = { packStages: 0, packedBytes: 0, sharedBytes: 0 };
      return {
        ...none,
        commands: Int32Array.from(words),
        tables: Int32Array.from(tables),
        workBytes,
        ...rest,
      };
    },
  };
}
export type PlanBuilder = ReturnType<typeof planBuilder>;

/** Commands that follow each other in the list. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** A stretch of commands, and by how much the bases move for it. */
export interface Item extends Stretch {
  readonly moves: ByBase;
}

/**
 * Work for the kernels: stages one after the other, the items of a stage in any order on any thread. Those of the last stage only
 * write what depends on nothing that they write: running one twice changes nothing.
 */
export interface Plan {
  readonly commands: Int32Array;
  readonly tables: Int32Array;
  readonly stages: readonly (readonly Item[])[];
  /** Which stages pack the weight: skipped while the packed weight is still good. */
  readonly packStages: number;
  /** Bytes of the packed weight. */
  readonly packedBytes: number;
  /** Bytes of work space per thread. */
  readonly workBytes: number;
  /** Bytes of a buffer that the threads fill together. */
  readonly sharedBytes: number;
  /** Useful floating-point operations, for deciding whether threads are worth waking. */
  readonly flops: number;
}

/** K of more rows than `MOST_DEPTH` is cut into blocks of `K_BLOCK`: a strip's block of B stays in the first-level cache. */
export const MOST_DEPTH = 512;
export const K_BLOCK = 256;
/** Floats behind a buffer that vector loads may read, or stores may touch. */
export const SLACK = 64;
/** Work below this is done by the calling thread alone. */
export const SHARE_FROM_FLOPS = 4e6;
/** Items that work worth sharing is cut into, if it allows. */
export const ITEMS = 8;

/** Items wanted of work that is cut into so many parts anyway. */
export const itemsFor = (flops: number, parts: number): number =>
  flops >= SHARE_FROM_FLOPS ? Math.ceil(ITEMS / parts) : 1;

export const roundUp = (value: number, to: number) => Math.ceil(value / to) * to;

/** Lists of the first of each list's entries, of the second, …; all are alike long. */
export const columnsOf = (rows: readonly (readonly number[])[]): number[][] =>
  rows[0].map((_, column) => rows.map((row) => row[column]));

/** Where a position lies in an array of three axes, or how far two lie apart; in elements. */
export const placeIn = (size: readonly number[], at: readonly number[]): number =>
  (at[0] * size[1] + at[1]) * size[2] + at[2];

/** Bytes between two places that lie `steps` strides apart on each axis of an array. */
export function shift(steps: readonly number[], stride: readonly number[], size: readonly number[]): number {
  const at = steps.map((step, axis) => step * stride[axis]);
  return 4 * placeIn(size, at);
}

/** What there is in all. */
export const sum = <T>(list: readonly T[], of: (item: T) => number): number =>
  list.reduce((all, item) => all + of(item), 0);

/** A run of channels, commands, …: the first, and how many. */
export interface Run {
  readonly from: number;
  readonly count: number;
}

/** Runs of `each`, of which the last may be shorter. */
export const runsOf = (total: number, each: number): Run[] =>
  range(Math.ceil(total / each)).map((i) => ({ from: i * each, count: Math.min(each, total - i * each) }));

/** The length of as few parts as have room, about alike, in whole units if there is room for one. */
export function evenPart(whole: number, room: number, unit = 1): number {
  const parts = Math.ceil(whole / Math.max(unit, Math.floor(room)));
  return Math.min(whole, roundUp(Math.ceil(whole / parts), unit));
}

/**
 * So many runs in whole units but for the end. About alike; or from about 1 + `shrinking` times the average down to 1 − `shrinking` times:
 * threads that take them one after the other end at nearly the same time then, even if one is slower.
 */
export function evenRuns(total: number, runs: number, unit = 1, shrinking = 0): Run[] {
  const units = Math.ceil(total / unit);
  const begin = (i: number) =>
    Math.min(total, unit * Math.floor((units * i * (1 + shrinking * (1 - i / runs))) / runs));
  return range(runs).map((i) => ({ from: begin(i), count: begin(i + 1) - begin(i) }));
}

/** Neighbours joined, so that there are not more than `most`. */
export const joined = (stretches: readonly Stretch[], most: number): Stretch[] =>
  runsOf(stretches.length, Math.ceil(stretches.length / most)).map(({ from, count }) => {
    const [{ first }, last] = [stretches[from], stretches[from + count - 1]];
    return { first, count: last.first + last.count - first };
  });
