/**
 * recorder: one run of a module, watched: which operations made its outputs, from what.
 *
 * A value is known by its storage and its shape: a storage is written once, and what shares it in another shape is a
 * reshape. Operations that are made of others report after these, so the last report of a value is the one that says most,
 * and what only the others needed is never reached from the outputs. What no operation made is a constant: a parameter,
 * or a tensor from outside.
 */

import type { OpTable } from '../../backend.js';
import { type Shape, showShape } from '../../shape.js';
import { type DType, type Storage, type Tensor, unscoped } from '../../tensor.js';
import { type TracedOps, traced } from '../../trace.js';

/** Attributes of everything that can be reported. */
export interface TraceTable extends OpTable, TracedOps {}

export type TraceName = keyof TraceTable;

/** Where a value comes from. */
export type Source =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'call'; readonly call: Call; readonly output: number }
  | { readonly kind: 'constant'; readonly tensor: Tensor };

/** One operation of a run. */
export interface Call {
  readonly name: TraceName;
  readonly attributes: object;
  readonly inputs: readonly Operand[];
  readonly outputs: readonly { readonly shape: Shape; readonly dtype: DType }[];
}

/** A value as an operation takes it. */
export interface Operand {
  readonly source: Source;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** What a run made: its operations, each after those that it needs, and where its outputs come from. */
export interface Run {
  readonly calls: readonly Call[];
  readonly outputs: readonly Operand[];
}

class Recorder {
  readonly #ids = new WeakMap<Storage, number>();
  readonly #sources = new Map<string, Source>();
  #count = 0;

  constructor(inputs: readonly Tensor[]) {
    for (const [index, input] of inputs.entries())
      this.#sources.set(this.#key(input), { kind: 'input', index });
  }

  #key({ storage, shape }: Tensor): string {
    let id = this.#ids.get(storage);
    if (id === undefined) {
      id = this.#count++;
      this.#ids.set(storage, id);
    }
    return `${id} ${showShape(shape)}`;
  }

  operand(tensor: Tensor): Operand {
    const key = this.#key(tensor);
    let source = this.#sources.get(key);
    if (source === undefined) {
      // Kept: it is read when the run is over.
      source = { kind: 'constant', tensor: unscoped(() => tensor.detach()) };
      this.#sources.set(key, source);
    }
    return { source, shape: tensor.shape, dtype: tensor.dtype };
  }

  note(name: TraceName, inputs: readonly Tensor[], outputs: readonly Tensor[], attributes: object): void {
    const call: Call = {
      name,
      attributes,
      inputs: inputs.map((input) => this.operand(input)),
      outputs: outputs.map(({ shape, dtype }) => ({ shape, dtype })),
    };
    for (const [i, output] of outputs.entries()) {
      const key = this.#key(output);
      // The same values seen in a shape that they had before: no news.
      const shared = inputs.some(({ storage }) => storage === output.storage);
      if (!shared || !this.#sources.has(key)) this.#sources.set(key, { kind: 'call', call, output: i });
    }
  }
}

/** The operations that the outputs need, each after those that it needs itself. */
function reachable(outputs: readonly Operand[]): Call[] {
  const order: Call[] = [];
  const seen = new Set<Call>();
  const path: { readonly call: Call; next: number }[] = [];
  const visit = ({ source }: Operand) => {
    if (source.kind !== 'call' || seen.has(source.call)) return;
    seen.add(source.call);
    path.push({ call: source.call, next: 0 });
  };
  for (const output of outputs) {
    visit(output);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const input = top.call.inputs[top.next++];
      if (input !== undefined) visit(input);
      else order.push((path.pop() as typeof top).call);
    }
  }
  return order;
}

/** Runs `body` on the inputs and says what it did with them. */
export function recordRun(inputs: readonly Tensor[], body: () => readonly Tensor[]): Run {
  const recorder = new Recorder(inputs);
  const made = traced(recorder.note.bind(recorder), body);
  const outputs = made.map((output) => recorder.operand(output));
  return { calls: reachable(outputs), outputs };
}
