/**
 * dry: an engine that computes nothing. A network run on it takes no time and no memory, whatever the size of the picture;
 * who watches the operations ({@link traced}) learns what it would do, and the values that live at the same time are
 * counted. What depends on parameters alone is computed by the real engine.
 *
 * Refuses to show values: there are none.
 */
import type { Backend, Operation, OpName, OpTable } from '../backend.js';
import { currentBackend, underBackend } from '../backends.js';
import { type Shape, sizeOf } from '../shape.js';
import { type DType, type Storage, Tensor, type TypedArray } from '../tensor.js';
import { type Tracer, traced } from '../trace.js';
import { refuseTiling } from './axis-graph.js';

const BYTES: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int32: 4, uint8: 1 };

/** Bytes of a tensor's values. */
export function bytesOf(dtype: DType, shape: Shape): number {
  return BYTES[dtype] * sizeOf(shape);
}

/** Bytes of values that live at the same time: now, and at most. */
class Ledger {
  most = 0;
  #now = 0;

  book(bytes: number): void {
    this.#now += bytes;
    this.most = Math.max(this.most, this.#now);
  }
}

/** Values that are not there. */
export class DryStorage implements Storage {
  readonly dtype: DType;
  length = 0;
  holders = 0;
  readonly dry = true;
  readonly #ledger: Ledger;

  constructor(dtype: DType, ledger: Ledger) {
    this.dtype = dtype;
    this.#ledger = ledger;
  }

  /** Says how many there are, once that is known. */
  settle(shape: Shape): void {
    if (this.length > 0) return;
    this.length = sizeOf(shape);
    this.#ledger.book(this.length * BYTES[this.dtype]);
  }

  host(): TypedArray {
    return refuseTiling('the network', 'looks at values, which are other ones in each part');
  }

  async read(): Promise<TypedArray> {
    return this.host();
  }

  release(): void {
    this.#ledger.book(-this.length * BYTES[this.dtype]);
  }
}

class DryBackend implements Backend {
  readonly name: string;
  readonly #real: Backend;
  readonly #ledger: Ledger;

  constructor(real: Backend, ledger: Ledger) {
    this.name = real.name;
    this.#real = real;
    this.#ledger = ledger;
  }

  upload(values: Parameters<Backend['upload']>[0]): Storage {
    return this.#real.upload(values);
  }

  run<K extends OpName>(
    operation: Operation<K>,
    inputs: readonly Storage[],
    attributes: OpTable[K],
  ): Storage {
    if (!inputs.some((input) => input instanceof DryStorage))
      return this.#real.run(operation, inputs, attributes);
    return new DryStorage(operation.type?.(inputs, attributes) ?? inputs[0].dtype, this.#ledger);
  }
}

/** The names under which the engine itself reports; everything else is said of several of these together. */
export type Watch = <K extends OpName>(
  name: K,
  inputs: readonly Tensor[],
  output: Tensor,
  attributes: OpTable[K],
) => void;

/** Makes a tensor without values, to begin with. */
export type MakeDry = (dtype: DType, shape: Shape) => Tensor;

/**
 * Runs `body` on the dry engine.
 *
 * @param watch told of each operation that depends on a dry tensor, as soon as its output has a shape
 * @returns what `body` returns, and the most bytes that were held at the same time
 */
export function runDry<T>(
  watch: Watch,
  body: (make: MakeDry) => T,
): { readonly result: T; readonly bytes: number } {
  const ledger = new Ledger();
  const backend = new DryBackend(currentBackend(), ledger);
  const make: MakeDry = (dtype, shape) => {
    const storage = new DryStorage(dtype, ledger);
    storage.settle(shape);
    return new Tensor(storage, shape);
  };
  const tracer = ((
    name: string,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
    attributes: object,
  ) => {
    const [output] = outputs;
    const { storage } = output;
    // Reports under other names come later, when the length is known; what only shares values has it already.
    if (!(storage instanceof DryStorage) || storage.length > 0) return;
    storage.settle(output.shape);
    watch(name as OpName, inputs, output, attributes as OpTable[OpName]);
  }) as Tracer;
  const result = underBackend(backend, () => traced(tracer, () => body(make)));
  return { result, bytes: ledger.most };
}
