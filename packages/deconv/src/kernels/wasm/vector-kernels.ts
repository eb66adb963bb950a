/**
 * vector-kernels: the kernels of everything that is no convolution, each compiled when it is first wanted, into a module
 * of its own over the same linear memory. A call should do no more than some ten thousand elements, since V8 replaces its
 * baseline code between calls only; and many calls can be held back and shared among the threads.
 */

import { type Build, call, encodeModule, type ValueType } from './assembler.js';
import * as BASE from './bases.js';
import { COMMAND_WORDS } from './commands.js';
import { buildFormula } from './formula.js';
import type { Heap } from './heap.js';
import { INTEGERS } from './microkernels.js';
import * as wasm from './opcodes.js';
import { type Command, compile, instantiate } from './platform.js';
import { remembered } from './remembered.js';
import type { RowKernel } from './row-kernels.js';

/** Elements of one call. */
export const CALL = 16_384;
/** Work on so many elements is worth the threads' while. */
export const SHARED_FROM = 65_536;
/** Calls that are held back at most. */
export const MOST_HELD = 4096;

/** Where rows of an input lie: address of the first, and bytes from one to the next. */
export type Rows = readonly [at: number, row: number];

/** What shares calls among threads; see Engine. */
export interface Sharing {
  shelve(bytes: Uint8Array<ArrayBuffer>, command: Command): number | undefined;
  share(commands: Int32Array, starts: readonly number[], repeatable: boolean): void;
  settle(): void;
}

interface Kernel {
  readonly run: Command;
  /** Its number as a command; undefined where it cannot be shared. */
  readonly number: number | undefined;
  /** How many of its arguments, the last, are floats. */
  readonly floats: number;
}

const FLOAT = new Float32Array(1);
const BITS = new Int32Array(FLOAT.buffer);

/** The kernels over one memory. */
export class VectorKernels {
  readonly #heap: Heap;
  readonly #sharing: Sharing | undefined;
  readonly #made = new Map<string, Kernel>();
  /** Calls are held back, to be shared: their words, how many they are, and where parts that do not depend on each other begin. */
  #holding = false;
  #words = new Int32Array(64 * COMMAND_WORDS);
  #count = 0;
  #starts: number[] = [];
  /** Calls go into the part that was begun last, rather than into one each. */
  #inPart = false;
  /** A call may be done twice, even at once. */
  #repeatable = false;

  /** @param sharing undefined if the caller works alone */
  constructor(heap: Heap, sharing?: Sharing) {
    this.#heap = heap;
    this.#sharing = sharing;
  }

  /** A kernel of so many integers, then floats. */
  #kernel(key: string, integers: number, floats: number, build: Build): Kernel {
    return remembered(this.#made, key, () => {
      const types = [
        ...new Array<ValueType>(integers).fill(wasm.i32),
        ...new Array<ValueType>(floats).fill(wasm.f32),
      ];
      const command: Build = (_, p) => [
        types.map((type, i) => [p[i], type === wasm.f32 ? wasm.f32ReinterpretI32 : []]),
        call(0),
      ];
      const bytes = encodeModule(this.#heap.limits, [
        ['run', types, build],
        ...(this.#sharing === undefined ? [] : [['command', INTEGERS, command] as const]),
      ]);
      const made = instantiate(compile(bytes), this.#heap.memory);
      return { run: made.run, number: this.#sharing?.shelve(bytes, made.command), floats };
    });
  }

  #do({ run, number, floats }: Kernel, values: readonly number[]): void {
    if (!this.#holding || number === undefined) {
      // Nothing is held where calls are not.
      this.#flush();
      this.#sharing?.settle();
      run(...values);
      return;
    }
    if (this.#count >= MOST_HELD) this.#flush();
    if (!this.#inPart) this.#starts.push(this.#count);
    const from = this.#count++ * COMMAND_WORDS;
    if (this.#words.length < from + COMMAND_WORDS) {
      const more = new Int32Array(2 * this.#words.length);
      more.set(this.#words);
      this.#words = more;
    }
    const words = this.#words;
    // Relative to the base `zero`, all of them; what is missing is 0.
    words.fill(BASE.zero, from, from + COMMAND_WORDS);
    words[from] = number;
    for (let i = 0; i < values.length; i++) {
      FLOAT[0] = values[i];
      words[from + 2 + 2 * i] = i < values.length - floats ? values[i] : BITS[0];
    }
  }

  /** Has all that is held done; the part under way goes on after that. */
  #flush(): void {
    if (this.#count === 0) return;
    const starts = [...this.#starts, this.#count];
    const words = this.#words.subarray(0, this.#count * COMMAND_WORDS);
    this.#count = 0;
    this.#starts = this.#inPart ? [0] : [];
    this.#sharing?.share(words, starts, this.#repeatable);
  }

  /**
   * Lets the threads share calls of kernels, if there are many elements to go through. Calls may then be done in any order,
   * except those that are made within one `part`; all are done when this returns, none may be before. With `repeatable`, a call
   * may be done twice, even at once: it only writes, and nothing that any call reads.
   */
  shared(elements: number, repeatable: boolean, work: (part: (calls: () => void) => void) => void): void {
    if (this.#sharing === undefined || this.#holding || elements < SHARED_FROM) {
      work((calls) => calls());
      return;
    }
    this.#holding = true;
    this.#repeatable = repeatable;
    try {
      work((calls) => {
        this.#starts.push(this.#count);
        this.#inPart = true;
        calls();
        this.#inPart = false;
      });
      this.#flush();
    } finally {
      // What failed half-way leaves nothing behind.
      this.#count = 0;
      this.#starts = [];
      this.#inPart = false;
      this.#holding = false;
    }
  }

  /** Calls a kernel written by hand. */
  call([name, parameters, build]: RowKernel, ...values: number[]): void {
    this.#do(this.#kernel(name, parameters, 0, build), values);
  }

  /**
   * out = the formula, for n1 rows of n floats; `names` are the inputs, one letter each, and `pattern` says with a 1 which
   * have a value per element, with a 0 which have one per row. `out` may be an input.
   */
  apply(
    text: string,
    names: string,
    pattern: string,
    [out, outRow]: Rows,
    n1: number,
    n: number,
    inputs: readonly Rows[],
    [p = 0, q = 0]: readonly number[] = [],
  ): void {
    const kernel = this.#kernel(
      `${pattern} ${text}`,
      4 + 2 * names.length,
      2,
      buildFormula(text, names, pattern),
    );
    const pieces = () =>
      inPieces(n1, n, (row, rows, column, columns) => {
        const at = inputs.flatMap(([base, step], i) => [
          base + row * step + (pattern[i] === '1' ? 4 * column : 0),
          step,
        ]);
        this.#do(kernel, [out + row * outRow + 4 * column, outRow, rows, columns, ...at, p, q]);
      });
    // Rows that go into one another stay in order.
    const ordered = outRow === 0 && n1 > 1;
    const repeatable = inputs.every(([at]) => at !== out);
    if (this.#holding || ordered) pieces();
    else this.shared(n1 * n, repeatable, pieces);
  }
}

/** Cuts n1 × n elements into pieces of at most {@link CALL}, whole rows where they are short. */
export function inPieces(
  n1: number,
  n: number,
  visit: (row: number, rows: number, column: number, columns: number) => void,
  width = CALL,
): void {
  for (let column = 0; column < n; column += width) {
    const columns = Math.min(width, n - column);
    const height = Math.max(1, Math.floor(CALL / columns));
    for (let row = 0; row < n1; row += height) visit(row, Math.min(height, n1 - row), column, columns);
  }
}
