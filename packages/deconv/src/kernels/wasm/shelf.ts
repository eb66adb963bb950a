/**
 * shelf: kernels that are made while others already work, where all threads find them. The bytes of each module lie in a
 * stretch of the shared memory, one after the other, each behind its length. Every thread makes instances of its own from
 * them, in that order, and appends what they export as `command` to its table: so a command has one number on all threads.
 *
 * A thread that has not taken a kernel in yet must not meet its number. So work is shared only if all helpers that are up
 * have taken in all there is (see {@link Threads.run}); and one that comes up first says so, then takes in all that there
 * is by then, and only after that looks for work.
 */
import { CONTROL_AT, roundUp } from './commands.js';
import * as CONTROL from './control.js';
import type { Heap } from './heap.js';
import type { Command, Table } from './platform.js';

/** Address of the stretch. */
export const SHELF_AT = 8192;
/** Bytes of the stretch: some two hundred kernels of operations, at 700 bytes each, and all of plans. */
export const SHELF_BYTES = 256 * 1024;

/** Bytes that are left to the kernels of plans, which cannot do without. */
export const FOR_PLANS = 96 * 1024;

/** Where a helper takes kernels in, and counts those it has in its word: a part of its text (see threads.ts). */
export const TAKE = `
    while (Atomics.load(words, taken) < Atomics.load(words, ${CONTROL.kernels})) {
      const [length] = new Int32Array(memory.buffer, shelf, 1);
      const module = new WebAssembly.Module(new Uint8Array(memory.buffer, shelf + 4, length).slice());
      table.set(table.grow(1), new WebAssembly.Instance(module, { env: { memory } }).exports.command);
      shelf += 4 + 4 * Math.ceil(length / 4);
      Atomics.add(words, taken, 1);
    }
`;

/**
 * Puts a module on the shelf: the number of its `command`, undefined if that would leave less than `reserve` bytes, by default
 * what is left to the kernels of plans.
 */
export type Shelf = (
  bytes: Uint8Array<ArrayBuffer>,
  command: Command,
  reserve?: number,
) => number | undefined;

/** The shelf, as the calling thread sees it. */
export function shelfOf(heap: Heap, table: Table): Shelf {
  let at = SHELF_AT;
  return (bytes, command, reserve = FOR_PLANS) => {
    const next = at + 4 + roundUp(bytes.length, 4);
    if (next > SHELF_AT + SHELF_BYTES - reserve) return undefined;
    const { integers, memory } = heap;
    integers[at / 4] = bytes.length;
    new Uint8Array(memory.buffer, at + 4, bytes.length).set(bytes);
    at = next;
    const number = table.grow(1);
    table.set(number, command);
    Atomics.add(integers, CONTROL_AT / 4 + CONTROL.kernels, 1);
    return number;
  };
}
