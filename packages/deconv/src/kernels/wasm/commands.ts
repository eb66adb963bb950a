/**
 * commands: what plans are made of and threads agree on. A command is the number of a function and, for each of its
 * arguments, a base and an offset; a plan is a list of commands, tables that they read, and items: stretches of the list
 * with shifts for the bases. The words of each in linear memory are fixed here, for those who write and who read them.
 */

export { sizeOf as product } from '../../shape.js';

/** Integers that a command takes. */
export const COMMAND_ARGUMENTS = 20;

/** Words of one command in a list: the function's number, then a base and an offset for each argument. */
export const COMMAND_WORDS = 1 + 2 * COMMAND_ARGUMENTS;

/** What the addresses in a command are relative to. */
export const BASE = {
  zero: 0,
  input: 1,
  packed: 2,
  output: 3,
  work: 4,
  tables: 5,
  weight: 6,
  bias: 7,
  scale: 8,
  shared: 9,
  residual: 10,
  second: 11,
} as const;

/** Number of bases. */
export const BASES = 12;

/** Words of an item: first command, number of commands, and what to add to each base. */
export const ITEM_WORDS = 2 + BASES;

/** Where the control block lies. */
export const CONTROL_AT = 1024;

/** Words of the control block. */
export const CONTROL_WORDS = 256;

/** Places in the control block, all 32-bit; see threads.ts for who writes them when. */
export const CONTROL = {
  /** Number of the stage under way. */
  epoch: 0,
  /** (epoch << 16) + the next item to be taken. */
  next: 1,
  /** Items of the stage. */
  count: 2,
  /** Items that are finished. */
  done: 3,
  /** Address of the command list. */
  commands: 4,
  /** Address of the items: first command, number of commands, then what to add to each base. */
  items: 5,
  /** Helpers that are ready. */
  ready: 6,
  /** Bytes of work space of each thread; thread t has the t-th. */
  stride: 7,
  /** Where the bases of the call begin. */
  bases: 8,
  /** The epoch once more, written when everything else about the stage is in place: what helpers look at. */
  go: 20,
  /** Kernels on the shelf (see shelf.ts). */
  kernels: 21,
  /** Set by commands whose result is not to be used. */
  flag: 22,
  /** The ticket that each thread is working on, −1 between items; thread t has the t-th word from here. */
  doing: 32,
  /** How many of the kernels on the shelf each thread has taken in, −1 until it has come up; as above. */
  taken: 128,
} as const;

/** Address of the flag of a call. */
export const FLAG_AT = CONTROL_AT + 4 * CONTROL.flag;

/** The number of a command by its name; throws where there is none. */
export type Commands = (name: string) => number;

type Argument = number | readonly [base: number, offset: number];

/** Builds a list of commands. */
export class CommandList {
  readonly words: number[] = [];
  readonly #commands: Commands;

  constructor(commands: Commands) {
    this.#commands = commands;
  }

  get length(): number {
    return this.words.length / COMMAND_WORDS;
  }

  /** Appends a command; arguments are numbers or [base, offset]. */
  push(name: string, ...given: readonly Argument[]): void {
    this.words.push(this.#commands(name));
    for (let i = 0; i < COMMAND_ARGUMENTS; i++) {
      const argument = given[i] ?? 0;
      if (typeof argument === 'number') this.words.push(BASE.zero, argument);
      else this.words.push(argument[0], argument[1]);
    }
  }

  /** The commands that `emit` appends. */
  stretch(emit: () => void): Stretch {
    const first = this.length;
    emit();
    return { first, count: this.length - first };
  }
}

/** Collects integers for the tables and tells where each run of them lies, in bytes. */
export class TableBuilder {
  readonly words: number[] = [];

  add(values: readonly number[]): number {
    const at = this.words.length * 4;
    for (const value of values) this.words.push(value);
    return at;
  }
}

/** Commands that follow each other in the list. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** A stretch of commands, and by how much the bases move for it. */
export interface Item extends Stretch {
  readonly moves: Readonly<Partial<Record<keyof typeof BASE, number>>>;
}

/** Work for the kernels: stages one after the other, the items of a stage in any order on any thread. */
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
  /** The items of the last stage only write what depends on nothing that they write: running one twice changes nothing. */
  readonly repeatable: boolean;
  /** Useful floating-point operations, for deciding whether threads are worth waking. */
  readonly flops: number;
}

/** K is cut into blocks of this many rows: a strip's block of B stays in the first-level cache. */
export const K_BLOCK = 256;
/** Floats behind a buffer that vector loads may read, or stores may touch. */
export const SLACK = 64;
/** Work below this is done by the calling thread alone. */
export const SHARE_FROM_FLOPS = 4e6;

export const roundUp = (value: number, to: number) => Math.ceil(value / to) * to;

/** Bytes between two places that lie `steps` strides apart on each axis of an array. */
export function shift(steps: readonly number[], stride: readonly number[], size: readonly number[]): number {
  const [z, y, x] = steps.map((step, axis) => step * stride[axis]);
  return 4 * ((z * size[1] + y) * size[2] + x);
}
