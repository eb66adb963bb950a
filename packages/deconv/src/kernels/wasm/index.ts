/**
 * The WebAssembly backend: an operation by its loop over linear memory, where it has one and the values are float32 (the
 * convolutions among them, by generated kernels on all cores), and by the reference where not.
 */
import type { Backend, OpName, OpTable } from '../../backend.js';
import { refuse } from '../../errors.js';
import type { Storage } from '../../tensor.js';
import { Engine } from './engine.js';
import { type Heap, isShortage, OutOfMemory } from './heap.js';
import { Ground, runLoop, type WasmOperation } from './loops/ground.js';
import type { Tile } from './microkernels.js';
import { host } from './platform.js';
import { WasmStorage } from './storage.js';
import { type Choice, chooseTile, tryTiles } from './tile.js';

/** What the backend can be told. */
export interface WasmOptions {
  /** Threads to work with, the caller included. */
  readonly threads: number;
  /** V8 may fuse pairs of 128-bit operations into 256-bit ones (see wide.ts). */
  readonly wideSimd: boolean;
  /** Compute in Winograd's form what is fit for it. Default true. */
  readonly winograd?: boolean | undefined;
  /** Register tile to work with. Default: the fastest of those tried. */
  readonly tile?: Tile | undefined;
}

/** What is in force. */
export interface WasmReport {
  readonly threads: number;
  /** Helper threads that have come up so far; the first operation that is worth sharing starts them. */
  readonly ready: number;
  readonly choice: Choice;
}

interface NodeOs {
  availableParallelism?(): number;
  cpus(): unknown[];
}

/** Processors that may be used: what the host says, 1 if it says nothing. */
export function processors(): number {
  const os = host.process?.getBuiltinModule?.('node:os') as NodeOs | undefined;
  if (os !== undefined) return os.availableParallelism?.() ?? os.cpus().length;
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/** The WebAssembly backend. Made synchronously; undefined where there is no WebAssembly with SIMD. */
export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly synchronous = true;
  readonly #engine: Engine;
  readonly #ground: Ground;
  readonly #choice: Choice;
  readonly #fallback: Backend;

  private constructor(engine: Engine, choice: Choice, fallback: Backend) {
    this.#engine = engine;
    this.#ground = new Ground(engine);
    this.#choice = choice;
    this.#fallback = fallback;
  }

  static open(options: WasmOptions, fallback: Backend): WasmBackend | undefined {
    const choice = options.tile === undefined ? chooseTile(options.wideSimd) : tryTiles([options.tile]);
    if (choice === undefined) return undefined;
    const { threads, winograd = true } = options;
    return new WasmBackend(new Engine({ tile: choice.tile, threads, winograd }), choice, fallback);
  }

  get report(): WasmReport {
    return { threads: this.#engine.threads, ready: this.#engine.ready, choice: this.#choice };
  }

  /** The linear memory. */
  get heap(): Heap {
    return this.#engine.heap;
  }

  /** Bytes in linear memory: values, packed weights, plans and work space. */
  get bytes(): number {
    return this.#engine.residency.bytes;
  }

  upload(values: Parameters<Backend['upload']>[0]): Storage {
    return this.#engine.residency.fromArray(values);
  }

  run<K extends OpName>(
    operation: WasmOperation<K>,
    inputs: readonly Storage[],
    attributes: OpTable[K],
  ): Storage {
    const { residency } = this.#engine;
    this.#engine.settle();
    try {
      const done = this.#loop(operation, inputs, attributes);
      if (done !== undefined) return done;
      // The reference reads the values where they are.
      const readable = inputs.map((storage): Storage => {
        if (!(storage instanceof WasmStorage)) return storage;
        const { dtype, length } = storage;
        return { dtype, length, holders: 0, host: () => storage.peek(), read: async () => storage.peek() };
      });
      return residency.fromArray(this.#fallback.run(operation, readable, attributes).host());
    } catch (error) {
      if (!isShortage(error)) throw error;
      const fn = 'fn' in attributes ? attributes.fn : operation;
      const name = typeof fn === 'string' ? fn : fn.name;
      const lengths = inputs.map(({ length }) => length).join(', ');
      return refuse(name, 'input', `not enough memory for inputs of ${lengths} elements and the output`);
    } finally {
      residency.settle();
    }
  }

  /** A loop over linear memory; what does not fit there is left to the reference. */
  #loop<K extends OpName>(
    operation: WasmOperation<K>,
    inputs: readonly Storage[],
    attributes: OpTable[K],
  ): Storage | undefined {
    try {
      return runLoop(this.#ground, operation, inputs, attributes);
    } catch (error) {
      if (error instanceof OutOfMemory) return undefined;
      throw error;
    }
  }

  /** Stops the helper threads. */
  close(): void {
    this.#engine.close();
  }
}
