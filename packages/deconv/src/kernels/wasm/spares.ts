/**
 * spares: arrays for results, made before they are asked for.
 *
 * A new array of some megabytes may come without memory: the system provides each page when it is first written to, which in a
 * virtual machine takes up to ten times as long as to copy the result there. So a helper makes arrays ahead, touches their pages, and
 * hands them over by a port. How many of a size are wanted is learned: none after the first, then as many as functions take
 * before they let the host go on.
 *
 * What was taken is made up for when the function that took it has ended, for until then the helper had better work at the next
 * operation. But a loop may not end for long: where it comes back to a size of which nothing is left, the next is ordered at once,
 * and in Node, where a port can be read within a function, it is taken as soon as it is there.
 */
import * as CONTROL from './control.js';
import { host, nodeModule } from './platform.js';

/** Arrays of fewer bytes are as quickly made as received. */
export const SPARE_FROM = 256 * 1024;
/** Bytes that may wait to be used. */
export const SPARE_BYTES = 128 * 1024 * 1024;
/** Sizes of results that are remembered. */
export const SPARE_SIZES = 4;
/** Arrays of one size that may wait. */
export const SPARES = 4;

/** Where a helper with a port makes an array, if one is on order: a part of its text (see threads.ts). */
export const SPARE = `
    const bytes = port && Atomics.exchange(words, ${CONTROL.spare}, 0);
    if (bytes) {
      const made = [];
      try {
        made.push(new Uint8Array(bytes).fill(0).buffer);
      } catch {}
      port.postMessage(made, made);
    }
`;

/** What comes by the port: the array's buffer, or nothing if there was no room for it. */
type Made = readonly ArrayBuffer[];

interface Port {
  onmessage: ((event: { readonly data: Made }) => void) | null;
  /** Node: the port does not keep the process alive. */
  unref?(): void;
}

interface Ports {
  MessageChannel: new () => { readonly port1: Port; readonly port2: object };
}

interface NodePorts {
  receiveMessageOnPort(port: Port): { readonly message: Made } | undefined;
}

/** What waits to be used, and what is on order. */
export class Spares {
  readonly #order: (bytes: number) => void;
  #port: Port | undefined;
  /** By size in bytes, used last last: how many are to wait, and those that do. */
  readonly #sizes = new Map<number, { wanted: number; readonly waiting: ArrayBuffer[] }>();
  /** Sizes that the function under way has taken; they are made up for when it has ended. */
  readonly #due = new Set<number>();
  #ordered = false;

  /** @param order tells the helper to make an array of so many bytes */
  constructor(order: (bytes: number) => void) {
    this.#order = order;
  }

  /** The helper's end of a new connection. */
  connect(): object {
    const { port1, port2 } = new (host as object as Ports).MessageChannel();
    this.#port = port1;
    // The helper that an order was for may be gone.
    this.#ordered = false;
    port1.onmessage = ({ data }) => {
      this.#receive(data);
      // If there was no room for one, it is tried again when one is missed.
      if (data.length > 0) this.#restock();
    };
    // After the listener: who listens waits.
    port1.unref?.();
    return port2;
  }

  /** A buffer for a result of so many bytes, if there is one; and the next, if there is reason to expect one, will be made. */
  take(bytes: number): ArrayBuffer | undefined {
    if (this.#port === undefined || bytes < SPARE_FROM || bytes > SPARE_BYTES) return undefined;
    const got = nodeModule<NodePorts>('worker_threads')?.receiveMessageOnPort(this.#port);
    if (got !== undefined) this.#receive(got.message);
    const [sizes, due] = [this.#sizes, this.#due];
    const size = sizes.get(bytes) ?? { wanted: -1, waiting: [] };
    const { waiting } = size;
    const spare = waiting.pop();
    if (spare === undefined && size.wanted < SPARES) size.wanted++;
    sizes.delete(bytes);
    sizes.set(bytes, size);
    for (const [oldest] of sizes)
      if (sizes.size > SPARE_SIZES || (oldest !== bytes && !this.#fits(bytes))) sizes.delete(oldest);
    if (due.size === 0) host.setTimeout?.(() => this.#restock());
    if (due.has(bytes) && waiting.length === 0) this.#make(bytes);
    due.add(bytes);
    return spare;
  }

  #receive(made: Made): void {
    this.#ordered = false;
    for (const buffer of made) this.#sizes.get(buffer.byteLength)?.waiting.push(buffer);
  }

  #fits(bytes: number): boolean {
    let sum = bytes;
    for (const [each, { waiting }] of this.#sizes) sum += each * waiting.length;
    return sum <= SPARE_BYTES;
  }

  #make(bytes: number): void {
    if (!this.#ordered) this.#order(bytes);
    this.#ordered = true;
  }

  /** Orders an array of which there are not enough, if there is room for it. */
  #restock(): void {
    this.#due.clear();
    for (const [bytes, { wanted, waiting }] of this.#sizes)
      if (waiting.length < wanted && this.#fits(bytes)) this.#make(bytes);
  }
}
