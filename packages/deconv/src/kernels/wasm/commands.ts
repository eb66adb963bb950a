/**
 * commands: what plans are made of and threads agree on. A command is the number of a function and, for each of its
 * arguments, a base and an offset; a plan is a list of commands, tables that they read, and items: stretches of the list
 * with shifts for the bases. The words of each in linear memory are fixed here, for those who write and who read them.
 */

import * as BASE from './bases.js';
import * as CONTROL from './control.js';

export { sizeOf as product } from '../../shape.js';

/** Integers that a command takes. */
export const COMMAND_ARGUMENTS = 20;

/** Words of one command in a list: the function's number, then a base and an offset for each argument. */
export const COMMAND_WORDS = 1 + 2 * COMMAND_ARGUMENTS;

/** The bases by name, in the order of their numbers. */
export const BASE_NAMES = [
  'zero',
  'input',
  'packed',
  'output',
  'work',
  'tables',
  'weight',
  'bias',
  'scale',
  'shared',
  'residual',
  'second',
] as const;

/** Number of bases. */
export const BASES = BASE_NAMES.length;

/** Words of an item: first command, number of commands, and what to add to each base. */
export const ITEM_WORDS = 2 + BASES;

/** Where the control block lies. */
export const CONTROL_AT = 1024;

/** Words of the control block. */
export const CONTROL_WORDS = 256;

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
  readonly moves: Readonly<Partial<Record<(typeof BASE_NAMES)[number], number>>>;
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
