/** Matrix products; x·weightᵀ + bias of a linear layer becomes one Gemm. Softmax, reductions. */
import { sizeOf } from '../../../shape.js';
import { type Emitters, gives, givesLater, labelOf } from '../emit.js';
import type { Step, Value } from '../program.js';
import { TYPE_CODES } from '../proto.js';
import type { Writer } from '../writer.js';

/** The matrix of which this is the transpose, if it is one of two axes. */
function transposed(value: Value): Value | undefined {
  const { maker } = value;
  return maker?.name === 'permute' && value.shapes[0].length === 2 ? maker.inputs[0] : undefined;
}

/** Gemm for a + b, if a is the product of a matrix with a transposed one, needed here only, and b one value per column. */
export function linear(w: Writer, step: Step<'binary'>): string | undefined {
  const [product, term] = step.inputs;
  const { maker } = product;
  if (maker?.name !== 'matrixProduct' || w.program.uses.get(product) !== 1) return undefined;
  const [x, factor] = maker.inputs;
  const weight = transposed(factor);
  const fits =
    weight !== undefined &&
    x.shapes[0].length === 2 &&
    term.shapes.every((shape) => shape.length === 1 && shape[0] === factor.shapes[0][1]);
  if (!fits) return undefined;
  const label = labelOf(w, { inputs: [weight] }, 0);
  return w.one('Gemm', [w.name(x), w.name(weight), w.name(term)], { transB: 1 }, label);
}

function softmax(w: Writer, step: Step<'softmax'>): string {
  const log = w.fixed(step, 'kind', (one) => one.log);
  const [{ shapes }] = step.inputs;
  const axis = shapes[0].findIndex((_, at) =>
    step.attributes.every(
      ({ outer, length }, run) => sizeOf(shapes[run].slice(0, at)) === outer && shapes[run][at] === length,
    ),
  );
  return w.one(log ? 'LogSoftmax' : 'Softmax', [w.name(step.inputs[0])], { axis });
}

const REDUCTIONS = { sum: 'ReduceSum', mean: 'ReduceMean', max: 'ReduceMax', min: 'ReduceMin' } as const;

function reduction(w: Writer, step: Step<'reduction'>): string {
  const { fn, axes, keepDims } = w.fixed(step, 'axes', (one) => one);
  const x = w.name(step.inputs[0]);
  const keepdims = keepDims ? 1 : 0;
  // No axes would mean all of them.
  if (axes.length === 0) return w.one('Identity', [x]);
  // The axes of sums became an input first.
  if (fn === 'sum' || w.opset >= 18) return w.one(REDUCTIONS[fn], [x, w.integers(axes)], { keepdims });
  return w.one(REDUCTIONS[fn], [x], { axes: [...axes], keepdims });
}

function position(w: Writer, step: Step<'position'>): string {
  const axis = w.fixed(step, 'axis', (one) => one.axis);
  const found = w.one('ArgMax', [w.name(step.inputs[0])], { axis, keepdims: 0 });
  return w.one('Cast', [found], { to: TYPE_CODES.int32 });
}

export const matrices: Emitters = {
  matrixProduct: givesLater((w, step) => w.one('MatMul', w.inputs(step))),
  softmax: gives(softmax),
  reduction: gives(reduction),
  position: gives(position),
};
