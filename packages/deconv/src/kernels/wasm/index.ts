/**
 * The WebAssembly backend: an operation by its loop over linear memory, where it has one and the values are float32 (the
 * convolutions among them, by generated kernels on all cores), and by the reference where not.
 */
import type { Backend, OpName, OpTable } from '../../backend.js';
import { refuse } from '../../errors.js';
import { HostStorage, type Storage } from '../../tensor.js';
import { Engine } from './engine.js';
import { isShortage, OutOfMemory } from './heap.js';
import { Ground, type WasmOperation } from './loops/ground.js';
import { host, nodeModule } from './platform.js';
import { WasmStorage } from './storage.js';
import type { Choice } from './tile.js';

/** Processors that may be used: what the host says, 1 if it says nothing. */
export const processors = (): number =>
  nodeModule<{ availableParallelism(): number }>('os')?.availableParallelism() ??
  host.navigator?.hardwareConcurrency ??
  1;

/** The WebAssembly backend, for where there is a tile that works. Made synchronously. */
export class WasmBackend implements Backend {
  readonly name = 'wasm';
  readonly choice: Choice;
  readonly engine: Engine;
  readonly #ground: Ground;
  readonly #fallback: Backend;

  /**
   * @param threads threads to work with, the caller included
   * @param winograd whether to compute in Winograd's form what is fit for it
   */
  constructor(choice: Choice, threads: number, winograd: boolean, fallback: Backend) {
    this.choice = choice;
    this.engine = new Engine(choice.tile, threads, winograd);
    this.#ground = new Ground(this.engine);
    this.#fallback = fallback;
  }

  upload(values: Parameters<Backend['upload']>[0]): Storage {
    return this.engine.residency.fromArray(values);
  }

  run<K extends OpName>(
    operation: WasmOperation<K>,
    inputs: readonly Storage[],
    attributes: OpTable[K],
  ): Storage {
    const { residency } = this.engine;
    const { wasm, takes } = operation;
    const fits = inputs.every(({ dtype }, i) => dtype === (takes?.[i] ?? 'float32'));
    this.engine.settle();
    try {
      try {
        const done = fits ? wasm?.(this.#ground, inputs, attributes) : undefined;
        if (done !== undefined) return done;
      } catch (error) {
        // What does not fit into linear memory is left to the reference.
        if (!(error instanceof OutOfMemory)) throw error;
      }
      // It reads the values where they are.
      const readable = inputs.map((storage) =>
        storage instanceof WasmStorage ? new HostStorage(storage.peek()) : storage,
      );
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

  /** Stops the helper threads. */
  close(): void {
    this.engine.team.stop();
  }
}
