/**
 * spares: arrays for results, made before they are asked for.
 *
 * A new array of some megabytes comes without memory: the system provides each page when it is first written to, which in a virtual
 * machine takes up to twice as long as to copy the result there. So a helper that has nothing else to do makes the array of the next
 * result, touches its pages, and hands it over by a port. That there will be a next one is guessed: from a second result of a size on.
 * There is one order at a time, and a bounded number of bytes waits to be used.
 *
 * In Node a port can be read within a synchronous function; in a page only what has come since the function began is missed.
 */
import * as CONTROL from './control.js';
import { nodeModule } from './platform.js';

/** Arrays of fewer bytes are as quickly made as received. */
export const SPARE_FROM = 1024 * 1024;
/** Bytes that may wait to be used. */
export const SPARE_BYTES = 128 * 1024 * 1024;
/** Sizes of results that are remembered. */
export const SPARE_SIZES = 4;

/** Where a helper with a port makes an array, if one is on order: a part of its text (see threads.ts). */
export const SPARE = `
    const bytes = port && Atomics.exchange(words, ${CONTROL.spare}, 0);
    if (bytes) {
      const made = [];
      try {
        const array = new Uint8Array(bytes);
        for (let i = 0; i < bytes; i += 4096) array[i] = 0;
        made.push(array.buffer);
      } catch {}
      port.postMessage(made, made);
    }
`;

/** What comes by the port: the array's buffer, or nothing if there was no room for it. */
type Made = readonly ArrayBuffer[];

interface Port {
  onmessage: ((event: { data: Made }) => void) | null;
  close(): void;
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
  readonly #node = nodeModule<NodePorts>('worker_threads');
  #port: Port | undefined;
  /** By their sizes in bytes, at most one of each; made last is last. */
  readonly #made = new Map<number, ArrayBuffer>();
  /** Sizes of the last results, in bytes. */
  readonly #sizes: number[] = [];
  #ordered = false;

  /** @param order tells the helper to make an array of so many bytes */
  constructor(order: (bytes: number) => void) {
    this.#order = order;
  }

  /** The helper's end of a new connection. */
  connect(): object {
    const { MessageChannel } = globalThis as object as Ports;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    if (this.#node === undefined) port1.onmessage = ({ data }) => this.#receive(data);
    return port2;
  }

  /** Ends the connection: nothing is made any more. */
  close(): void {
    this.#port?.close();
    this.#port = undefined;
    this.#ordered = false;
  }

  /** A buffer for a result of so many bytes, if there is one; and the next, if there is reason to expect one, is on order. */
  take(bytes: number): ArrayBuffer | undefined {
    if (this.#port === undefined || bytes < SPARE_FROM || bytes > SPARE_BYTES) return undefined;
    const got = this.#node?.receiveMessageOnPort(this.#port);
    if (got !== undefined) this.#receive(got.message);
    const spare = this.#made.get(bytes);
    this.#made.delete(bytes);
    if (!this.#sizes.includes(bytes)) {
      if (this.#sizes.unshift(bytes) > SPARE_SIZES) this.#sizes.pop();
    } else if (!this.#ordered) {
      this.#ordered = true;
      this.#order(bytes);
    }
    return spare;
  }

  #receive(made: Made): void {
    this.#ordered = false;
    for (const buffer of made) this.#made.set(buffer.byteLength, buffer);
    const waiting = () => [...this.#made.keys()].reduce((sum, bytes) => sum + bytes, 0);
    for (const bytes of this.#made.keys()) if (waiting() > SPARE_BYTES) this.#made.delete(bytes);
  }
}
