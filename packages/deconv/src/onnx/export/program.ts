/**
 * program: what a module computes, read off several runs of it. A run sees numbers only: that a 12 is the height of the
 * input, or that a constant was worked out from the input's values, shows when it changes with them. So the module runs
 * on inputs of other values and, one after the other, of other lengths of each axis that is to stay open; the runs must
 * be the same operations in the same order. What differs between them is what depends on the input.
 *
 * Refuses modules that compute something else for other lengths, and values that come from the input by another way than
 * operations.
 */
import { refuse } from '../../errors.js';
import { type Shape, sameShape, showShape } from '../../shape.js';
import type { DType, Tensor, TypedArray } from '../../tensor.js';
import type { Call, Operand, Run, TraceName, TraceTable } from './recorder.js';

/** A value of the program: in each run a tensor of this type. */
export interface Value {
  /** Its shape in each run. */
  readonly shapes: readonly Shape[];
  readonly dtype: DType;
  /** The step that makes it, and as which of its outputs; undefined for inputs and constants. */
  readonly maker: Step | undefined;
  readonly output: number;
  /** A constant's values in each run: one and the same tensor for what does not change. */
  readonly constants: readonly Tensor[] | undefined;
}

/** One operation. */
export interface Step<K extends TraceName = TraceName> {
  readonly name: K;
  /** Its attributes in each run. */
  readonly attributes: readonly TraceTable[K][];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** A module's computation. */
export interface Program {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly steps: readonly Step[];
  /** How often each value is used, as an output too. */
  readonly uses: ReadonlyMap<Value, number>;
}

const OP = 'exportOnnx';

const sameValues = (a: TypedArray, b: TypedArray) =>
  a.length === b.length && a.every((value, i) => Object.is(value, b[i]));

/** The name of an operation for people. */
export const spoken = (name: TraceName) =>
  ({
    'conv.forward': 'conv',
    'conv.inputGrad': 'convTranspose',
    matrixProduct: 'matmul',
    convSame: 'conv',
    position: 'argMax',
    batchNormTraining: 'batchNorm',
  })[name as string] ?? name;

/** The name of what a call does. */
function doing({ name, attributes }: Call): string {
  if (name === 'unary') return (attributes as TraceTable['unary']).fn.name;
  return name === 'binary' ? (attributes as TraceTable['binary']).fn : spoken(name);
}

function refuseChange(what: string): never {
  return refuse(
    OP,
    'module',
    `forward() computes something else for another input: ${what}`,
    'what it does must not depend on the values of the input, nor on an axis that is named in dynamic',
  );
}

/** Two runs side by side, one call after the other. */
function checkAlike(first: Run, other: Run): void {
  const place = new Map(other.calls.map((call, i) => [call, i]));
  const places = new Map(first.calls.map((call, i) => [call, i]));
  for (const [i, call] of first.calls.entries()) {
    const beside: Call | undefined = other.calls[i];
    if (beside === undefined || doing(beside) !== doing(call))
      refuseChange(`${doing(call)} becomes ${beside ? doing(beside) : 'nothing'}`);
    const same = (a: Operand, b: Operand | undefined) => {
      const [p, q] = [a.source, b?.source];
      if (p.kind === 'call')
        return q?.kind === 'call' && p.output === q.output && places.get(p.call) === place.get(q.call);
      return p.kind === 'input' ? q?.kind === 'input' && p.index === q.index : q?.kind === p.kind;
    };
    if (
      call.inputs.length !== beside.inputs.length ||
      !call.inputs.every((x, k) => same(x, beside.inputs[k]))
    )
      refuseChange(`${doing(call)} takes something else`);
  }
  if (first.calls.length !== other.calls.length || first.outputs.length !== other.outputs.length)
    refuseChange(`it makes ${other.calls.length} operations of ${first.calls.length}`);
}

/** The runs of one module on inputs of `shapes`, as one program. */
export function programOf(
  runs: readonly Run[],
  inputs: readonly { shapes: readonly Shape[]; dtype: DType }[],
): Program {
  const [first, ...others] = runs;
  for (const other of others) checkAlike(first, other);
  const made: Value[] = inputs.map(({ shapes, dtype }) => ({
    shapes,
    dtype,
    maker: undefined,
    output: 0,
    constants: undefined,
  }));
  const byCall = new Map<Call, Step>();
  const constants = new Map<Tensor, Value>();

  const valueAt = (beside: readonly Operand[]): Value => {
    const [{ source, dtype }] = beside;
    if (source.kind === 'input') return made[source.index];
    if (source.kind === 'call') return (byCall.get(source.call) as Step).outputs[source.output];
    const known = constants.get(source.tensor);
    if (known !== undefined) return known;
    const tensors = beside.map((operand) => (operand.source as typeof source).tensor);
    const value: Value = {
      shapes: beside.map(({ shape }) => shape),
      dtype,
      maker: undefined,
      output: 0,
      constants: tensors.map((tensor) => (tensor.storage === source.tensor.storage ? source.tensor : tensor)),
    };
    checkConstant(value);
    constants.set(source.tensor, value);
    return value;
  };

  const steps = first.calls.map((call, i) => {
    const beside = runs.map(({ calls }) => calls[i]);
    const outputs: Value[] = [];
    const step: Step = {
      name: call.name,
      attributes: beside.map(({ attributes }) => attributes as TraceTable[TraceName]),
      inputs: call.inputs.map((_, k) => valueAt(beside.map((one) => one.inputs[k]))),
      outputs,
    };
    for (const [k, { dtype }] of call.outputs.entries()) {
      const shapes = beside.map((one) => one.outputs[k].shape);
      outputs.push({ shapes, dtype, maker: step, output: k, constants: undefined });
    }
    byCall.set(call, step);
    return step;
  });
  const outputs = first.outputs.map((_, k) => valueAt(runs.map((one) => one.outputs[k])));
  const uses = new Map<Value, number>();
  for (const value of [...steps.flatMap((step) => step.inputs), ...outputs])
    uses.set(value, (uses.get(value) ?? 0) + 1);
  return { inputs: made, outputs, steps, uses };
}

/** Refuses a constant whose values differ between runs, unless it is one number in each shape. */
function checkConstant({ constants = [], shapes }: Value): void {
  const [first, ...others] = constants;
  for (const [i, other] of others.entries()) {
    if (other === first) continue;
    const [a, b] = [first.data, other.data];
    if (sameShape(shapes[0], shapes[i + 1])) {
      if (sameValues(a, b)) continue;
      refuse(
        OP,
        'module',
        `forward() makes a tensor ${showShape(shapes[0])} whose values differ from run to run: by chance, or because it was worked out from x.data`,
        'only what operations compute can be exported; draw random numbers outside and pass them in',
      );
    }
    if (a.length > 0 && a.every((value) => value === a[0]) && b.every((value) => value === a[0])) continue;
    refuse(
      OP,
      'dynamic',
      `forward() makes a tensor ${showShape(shapes[0])} for one input and ${showShape(shapes[i + 1])} for another`,
      'leave the axis that decides its shape out of dynamic, or compute it by operations',
    );
  }
}
