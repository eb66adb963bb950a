/**
 * ground: what every loop stands on: addresses of operands, room for results, and the kernels. Addresses hold until the
 * operation is over; views of the memory are to be taken only after the last of them, since memory may grow on the way.
 */
import type { Operation, OpName, OpTable, UnaryFunction } from '../../../backend.js';
import type { DType, Storage } from '../../../tensor.js';
import type { Engine } from '../engine.js';
import type { Residency, WasmStorage } from '../storage.js';
import { VectorKernels } from '../vector-kernels.js';

/** What the loops work with. */
export class Ground {
  readonly engine: Engine;
  readonly residency: Residency;
  readonly kernels: VectorKernels;

  constructor(engine: Engine) {
    this.engine = engine;
    this.residency = engine.residency;
    this.kernels = new VectorKernels(engine.heap, engine.threads > 1 ? engine : undefined);
  }

  /** Address of an operand. */
  at(storage: Storage): number {
    return this.residency.address(storage);
  }

  /** A new result, its values arbitrary. */
  result(length: number, dtype: DType = 'float32'): { storage: WasmStorage; at: number } {
    return this.residency.result(dtype, length);
  }

  /** Floats at an address. */
  floats(at: number, length: number): Float32Array {
    this.engine.settle();
    return this.engine.heap.floats.subarray(at / 4, at / 4 + length);
  }
}

/** Float64 at an address. */
export function doublesAt({ engine }: Ground, at: number, length: number): Float64Array {
  engine.settle();
  return new Float64Array(engine.heap.memory.buffer, at, length);
}

/** Integers at an address. */
export function integersAt({ engine }: Ground, at: number, length: number): Int32Array {
  engine.settle();
  return engine.heap.integers.subarray(at / 4, at / 4 + length);
}

/** A loop: makes the result of an operation, or leaves it to the reference. */
export type Loop<Attributes> = (
  ground: Ground,
  inputs: readonly Storage[],
  attributes: Attributes,
) => Storage | undefined;

/** An operation and its loop, if it has one. */
export interface WasmOperation<K extends OpName> extends Operation<K> {
  readonly wasm?: Loop<OpTable[K]>;
  /** Number types of the inputs that the loop takes. Default: float32 all. */
  readonly takes?: readonly DType[];
}

/** A function of one argument as formulas: f, f′ and f″ as far as they are not 0; or what gives one of them, if there is one. */
export interface WasmFunction extends UnaryFunction {
  readonly wasm?: readonly string[] | ((order: number, parameters: readonly number[]) => string | undefined);
}
