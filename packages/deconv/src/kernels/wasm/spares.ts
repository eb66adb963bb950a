/**
 * spares: arrays for results, made before they are asked for.
 *
 * A new array of some megabytes may come without memory: the system provides each page when it is first written to, which in a
 * virtual machine takes up to ten times as long as to copy the result there. So a helper makes arrays ahead, touches their pages, and
 * hands them over. How many of a size are wanted is learned: none after the first, then as many as functions take before
 * they let the host go on.
 *
 * What was taken is made up for when the function that took it has ended: before that nothing arrives in a page, and the helper had
 * better work at the next operation. A loop that never lets the host go on gets arrays made in the ordinary way.
 */
import * as CONTROL from './control.js';
import { host } from './platform.js';

/** Arrays of fewer bytes are as quickly made as received. */
export const SPARE_FROM = 256 * 1024;
/** Bytes that may wait to be used. */
export const SPARE_BYTES = 128 * 1024 * 1024;
/** Sizes of results that are remembered. */
export const SPARE_SIZES = 4;
/** Arrays of one size that may wait. */
export const SPARES = 4;

/** Where a helper makes an array, if one is on order: a part of its text (see threads.ts). */
export const SPARE = `
    const bytes = Atomics.exchange(words, ${CONTROL.spare}, 0);
    if (bytes) {
      const made = [];
      try {
        const array = new Uint8Array(bytes);
        for (let i = 0; i < bytes; i += 4096) array[i] = 0;
        made.push(array.buffer);
      } catch {}
      host.postMessage(made, made);
    }
`;

/** What comes of an order: the array's buffer, or nothing if there was no room for it. */
export type Made = readonly ArrayBuffer[];

/** What waits to be used, and what is on order. */
export class Spares {
  readonly #order: (bytes: number) => void;
  /** By size in bytes, used last last: how many are to wait, and those that do. */
  readonly #sizes = new Map<number, { wanted: number; readonly waiting: ArrayBuffer[] }>();
  /** An array is on order, or one will be when functions have ended. */
  #ordered = false;

  /** @param order tells the helper to make an array of so many bytes */
  constructor(order: (bytes: number) => void) {
    this.#order = order;
  }

  /** There is a new helper; the one that an order was for may be gone. */
  reset(): void {
    this.#ordered = false;
  }

  /** Takes in what a helper made. */
  receive(made: Made): void {
    this.#ordered = false;
    for (const buffer of made) {
      this.#sizes.get(buffer.byteLength)?.waiting.push(buffer);
      this.#restock();
    }
  }

  /** A buffer for a result of so many bytes, if there is one; and the next, if there is reason to expect one, will be made. */
  take(bytes: number): ArrayBuffer | undefined {
    if (bytes < SPARE_FROM || bytes > SPARE_BYTES) return undefined;
    const sizes = this.#sizes;
    const size = sizes.get(bytes) ?? { wanted: -1, waiting: [] };
    const spare = size.waiting.pop();
    if (spare === undefined && size.wanted < SPARES) size.wanted++;
    sizes.delete(bytes);
    sizes.set(bytes, size);
    for (const [oldest] of sizes)
      if (sizes.size > SPARE_SIZES || (oldest !== bytes && !this.#fits(bytes))) sizes.delete(oldest);
    if (!this.#ordered) host.setTimeout?.(() => this.#restock());
    this.#ordered = true;
    return spare;
  }

  #fits(bytes: number): boolean {
    let sum = bytes;
    for (const [each, { waiting }] of this.#sizes) sum += each * waiting.length;
    return sum <= SPARE_BYTES;
  }

  /** Orders an array of which there are not enough, if there is room for it. */
  #restock(): void {
    this.#ordered = false;
    for (const [bytes, { wanted, waiting }] of this.#sizes) {
      if (this.#ordered || waiting.length >= wanted || !this.#fits(bytes)) continue;
      this.#ordered = true;
      this.#order(bytes);
    }
  }
}
