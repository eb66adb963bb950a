/**
 * vector-kernels: the kernels of everything that is no convolution, each compiled when it is first wanted, into a module
 * of its own over the same linear memory. A call should do no more than some ten thousand elements, since V8 replaces its
 * baseline code between calls only.
 */
import { ModuleBuilder, type ValueType } from './assembler.js';
import { buildFormula, formulaParameters } from './formula.js';
import type { Heap } from './heap.js';
import { webAssembly } from './platform.js';
import type { Build, RowKernel } from './row-kernels.js';

type Kernel = (...values: number[]) => void;

/** Elements of one call. */
export const CALL = 16_384;

/** Where rows of an input lie: address of the first, and bytes from one to the next. */
export type Rows = readonly [at: number, row: number];

/** The kernels over one memory. */
export class VectorKernels {
  readonly #heap: Heap;
  readonly #made = new Map<string, Kernel>();

  constructor(heap: Heap) {
    this.#heap = heap;
  }

  #kernel(key: string, parameters: () => readonly ValueType[], build: Build): Kernel {
    let kernel = this.#made.get(key);
    if (kernel === undefined) {
      const { Module, Instance } = webAssembly();
      const module = new ModuleBuilder(this.#heap.limits).func('run', parameters(), (f, ...p) => build(f, p));
      const { exports } = new Instance(new Module(module.bytes()), { env: { memory: this.#heap.memory } });
      kernel = exports.run;
      this.#made.set(key, kernel);
    }
    return kernel;
  }

  /** Calls a kernel written by hand. */
  call({ name, parameters, build }: RowKernel, ...values: number[]): void {
    this.#kernel(name, () => new Array<ValueType>(parameters).fill('i32'), build)(...values);
  }

  /**
   * out = the formula, for n1 rows of n floats; `names` are the inputs, one letter each, and `pattern` says with a 1 which
   * have a value per element, with a 0 which have one per row. `out` may be an input.
   */
  apply(
    text: string,
    names: string,
    pattern: string,
    [out, outRow]: Rows,
    n1: number,
    n: number,
    inputs: readonly Rows[],
    [p = 0, q = 0]: readonly number[] = [],
  ): void {
    const kernel = this.#kernel(
      `${pattern} ${text}`,
      () => formulaParameters(names.length),
      (f, parameters) => buildFormula(f, parameters, text, [...names], pattern),
    );
    inPieces(n1, n, (row, rows, column, columns) => {
      const at = inputs.flatMap(([base, step], i) => [
        base + row * step + (pattern[i] === '1' ? 4 * column : 0),
        step,
      ]);
      kernel(out + row * outRow + 4 * column, outRow, rows, columns, ...at, p, q);
    });
  }
}

/** Cuts n1 × n elements into pieces of at most {@link CALL}, whole rows where they are short. */
export function inPieces(
  n1: number,
  n: number,
  visit: (row: number, rows: number, column: number, columns: number) => void,
  width = CALL,
): void {
  for (let column = 0; column < n; column += width) {
    const columns = Math.min(width, n - column);
    const height = Math.max(1, Math.floor(CALL / columns));
    for (let row = 0; row < n1; row += height) visit(row, Math.min(height, n1 - row), column, columns);
  }
}
