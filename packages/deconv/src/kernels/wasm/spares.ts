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
import { host } from './platform.js';

/** Arrays of fewer bytes are as quickly made as received. */
export const SPARE_FROM = 1024 * 1024;
/** Bytes that may wait to be used. */
export const SPARE_BYTES = 128 * 1024 * 1024;
/** Sizes of results that are remembered. */
export const SPARE_SIZES = 4;

/** The part of a helper that makes arrays: text, as it must stand on its own (see threads.ts). */
export const SPARE = `
const sparer = ({ words, spare, port }) => () => {
  const bytes = port ? Atomics.exchange(words, spare, 0) : 0;
  if (bytes === 0) return;
  let made = 0;
  try {
    made = globalThis.Buffer ? Buffer.allocUnsafeSlow(bytes).buffer : new ArrayBuffer(bytes);
    const array = new Uint8Array(made);
    for (let i = 0; i < bytes; i += 4096) array[i] = 0;
  } catch {}
  port.postMessage(made, made ? [made] : []);
};
`;

interface Port {
  onmessage: ((event: { data: ArrayBuffer | 0 }) => void) | null;
  close(): void;
}

interface Ports {
  MessageChannel?: new () => { readonly port1: Port; readonly port2: object };
}

interface NodePorts {
  receiveMessageOnPort(port: Port): { readonly message: ArrayBuffer | 0 } | undefined;
}

/** What waits to be used, and what is on order. */
export class Spares {
  readonly #order: (bytes: number) => void;
  readonly #node = host.process?.getBuiltinModule?.('node:worker_threads') as NodePorts | undefined;
  #port: Port | undefined;
  /** Made last is last. */
  readonly #made: ArrayBuffer[] = [];
  /** Sizes of the last results, in bytes. */
  readonly #sizes: number[] = [];
  #ordered = false;

  /** @param order tells the helper to make an array of so many bytes */
  constructor(order: (bytes: number) => void) {
    this.#order = order;
  }

  /** The helper's end of a new connection; undefined where the host has none. */
  connect(): object | undefined {
    this.close();
    const { MessageChannel } = globalThis as Ports;
    if (MessageChannel === undefined) return undefined;
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
    for (let got = this.#next(); got !== undefined; got = this.#next()) this.#receive(got.message);
    const found = this.#made.findIndex(({ byteLength }) => byteLength === bytes);
    const spare = found < 0 ? undefined : this.#made.splice(found, 1)[0];
    const expected = this.#sizes.includes(bytes);
    if (!expected && this.#sizes.unshift(bytes) > SPARE_SIZES) this.#sizes.pop();
    if (expected && !this.#ordered && this.#made.every(({ byteLength }) => byteLength !== bytes)) {
      this.#ordered = true;
      this.#order(bytes);
    }
    return spare;
  }

  #next() {
    return this.#port && this.#node?.receiveMessageOnPort(this.#port);
  }

  #receive(buffer: ArrayBuffer | 0): void {
    this.#ordered = false;
    if (buffer === 0) return;
    this.#made.push(buffer);
    const waiting = () => this.#made.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (waiting() > SPARE_BYTES) this.#made.shift();
  }
}
