/**
 * shelf: kernels that are made while others already work, where all threads find them. The bytes of each module lie in a
 * stretch of the shared memory, one after the other, each behind its length. Every thread makes instances of its own from
 * them, in that order, and appends what they export as `command` to its table: so a command has one number on all threads.
 *
 * A thread that has not taken a kernel in yet must not meet its number. So work is shared only if all helpers that are up
 * have taken in what it needs (see {@link Threads.know}); and one that comes up first says so, then takes in all that there
 * is by then, and only after that looks for work.
 */
import * as CONTROL from './control.js';
import type { Heap } from './heap.js';
import type { Command, Table } from './platform.js';

/** Bytes of the stretch: some two hundred kernels of operations, at 700 bytes each, and all of plans. */
export const SHELF_BYTES = 256 * 1024;

/** The part of a helper that takes kernels in: text, as it must stand on its own (see threads.ts). */
export const TAKE = `
const taker = ({ memory, words, table, thread, shelf, kernels, taken }) => {
  let [at, known] = [shelf, 0];
  return () => {
    const count = Atomics.load(words, kernels);
    if (known === count) return;
    for (; known < count; known++) {
      const [length] = new Int32Array(memory.buffer, at, 1);
      const module = new WebAssembly.Module(new Uint8Array(memory.buffer, at + 4, length).slice());
      table.set(table.grow(1), new WebAssembly.Instance(module, { env: { memory } }).exports.command);
      at += 4 + 4 * Math.ceil(length / 4);
    }
    Atomics.store(words, taken + thread, known);
  };
};
`;

/** The shelf, as the calling thread sees it. */
export class Shelf {
  readonly #heap: Heap;
  readonly #table: Table;
  readonly #control: number;
  readonly #end: number;
  #at: number;
  #count = 0;

  /** @param control address of the control block @param at address of the stretch */
  constructor(heap: Heap, table: Table, control: number, at: number) {
    this.#heap = heap;
    this.#table = table;
    this.#control = control;
    this.#at = at;
    this.#end = at + SHELF_BYTES;
  }

  /** Kernels on the shelf. */
  get count(): number {
    return this.#count;
  }

  /** Puts a module there; the number of its `command`, undefined if that would leave less than `reserve` bytes. */
  add(bytes: Uint8Array<ArrayBuffer>, command: Command, reserve = 0): number | undefined {
    const next = this.#at + 4 + 4 * Math.ceil(bytes.length / 4);
    if (next > this.#end - reserve) return undefined;
    const { integers, memory } = this.#heap;
    integers[this.#at / 4] = bytes.length;
    new Uint8Array(memory.buffer, this.#at + 4, bytes.length).set(bytes);
    this.#at = next;
    const number = this.#table.grow(1);
    this.#table.set(number, command);
    Atomics.store(integers, this.#control / 4 + CONTROL.kernels, ++this.#count);
    return number;
  }
}
