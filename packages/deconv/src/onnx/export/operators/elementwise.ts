/**
 * Functions of one and two arguments, and choice. Where the operator set is too old for a function it is written out in
 * arithmetic. Comparisons give 1 and 0 here and truth values in ONNX: they are cast only where the numbers are needed.
 */
import type { UnaryName } from '../../../backend.js';
import { refuse } from '../../../errors.js';
import { broadcastShapes, type Shape, sameShape } from '../../../shape.js';
import type { DType } from '../../../tensor.js';
import { type Emitters, gives } from '../emit.js';
import type { Step, Value } from '../program.js';
import { TYPE_CODES } from '../proto.js';
import type { Writer } from '../writer.js';
import { linear } from './matrix.js';

/** x held within [min, max], of which either may be infinite. */
export function clip(w: Writer, x: string, min: number, max: number, dtype: DType): string {
  const end = (value: number) => (Number.isFinite(value) ? w.scalar(value, dtype) : '');
  if (min === 0 && max === Number.POSITIVE_INFINITY) return w.one('Relu', [x]);
  return w.one('Clip', [x, end(min), end(max)]);
}

type Unary = (w: Writer, x: string, parameters: readonly number[], dtype: DType) => string;

const named =
  (op: string, attributes: readonly string[] = []): Unary =>
  (w, x, parameters) =>
    w.one(op, [x], Object.fromEntries(attributes.map((name, i) => [name, { float: parameters[i] }])));

/** x·Φ(x) = x/2·(1 + erf(x/√2)) */
const gelu: Unary = (w, x, _, dtype) => {
  if (w.opset >= 20) return w.one('Gelu', [x]);
  const number = (value: number) => w.scalar(value, dtype);
  const erf = w.one('Erf', [w.one('Mul', [x, number(Math.SQRT1_2)])]);
  return w.one('Mul', [w.one('Mul', [x, number(0.5)]), w.one('Add', [erf, number(1)])]);
};

/** x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))) */
const geluTanh: Unary = (w, x, _, dtype) => {
  if (w.opset >= 20) return w.one('Gelu', [x], { approximate: 'tanh' });
  const number = (value: number) => w.scalar(value, dtype);
  const square = w.one('Mul', [x, x]);
  const factor = w.one('Add', [w.one('Mul', [square, number(0.044715)]), number(1)]);
  const inner = w.one('Mul', [w.one('Mul', [x, factor]), number(Math.sqrt(2 / Math.PI))]);
  const outer = w.one('Add', [w.one('Tanh', [inner]), number(1)]);
  return w.one('Mul', [w.one('Mul', [x, number(0.5)]), outer]);
};

const UNARY: Readonly<Record<UnaryName, Unary>> = {
  abs: named('Abs'),
  sign: named('Sign'),
  exp: named('Exp'),
  log: named('Log'),
  sqrt: named('Sqrt'),
  square: (w, x) => w.one('Mul', [x, x]),
  reciprocal: named('Reciprocal'),
  sin: named('Sin'),
  cos: named('Cos'),
  erf: named('Erf'),
  floor: named('Floor'),
  ceil: named('Ceil'),
  relu: named('Relu'),
  leakyRelu: named('LeakyRelu', ['alpha']),
  elu: named('Elu', ['alpha']),
  selu: named('Selu'),
  sigmoid: named('Sigmoid'),
  tanh: named('Tanh'),
  softplus: named('Softplus'),
  gelu,
  geluTanh,
  silu: (w, x) => w.one('Mul', [x, w.one('Sigmoid', [x])]),
  hardSigmoid: named('HardSigmoid', ['alpha', 'beta']),
  hardSwish: named('HardSwish'),
  mish: (w, x) =>
    w.opset >= 18 ? w.one('Mish', [x]) : w.one('Mul', [x, w.one('Tanh', [w.one('Softplus', [x])])]),
  softsign: named('Softsign'),
  clamp: (w, x, [min, max], dtype) => clip(w, x, min, max, dtype),
  powScalar: (w, x, [power], dtype) => w.one('Pow', [x, w.scalar(power, dtype)]),
};

function unary(w: Writer, step: Step<'unary'>): string {
  const [{ fn, order }] = step.attributes;
  if (order > 0) {
    refuse(
      'exportOnnx',
      'module',
      `forward() computes the gradient of ${fn.name}, which has no operator in ONNX`,
      'export a module that does not differentiate',
    );
  }
  const parameters = w.fixed(step, 'number', (one) => one.parameters);
  return UNARY[fn.name](w, w.name(step.inputs[0]), parameters, step.outputs[0].dtype);
}

const BINARY = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  pow: 'Pow',
  maximum: 'Max',
  minimum: 'Min',
  prelu: 'PRelu',
} as const;
const COMPARISONS = { equal: 'Equal', greater: 'Greater', greaterEqual: 'GreaterOrEqual' } as const;

function binary(w: Writer, step: Step<'binary'>): void {
  const [{ fn }] = step.attributes;
  const [output] = step.outputs;
  if (fn === 'equal' || fn === 'greater' || fn === 'greaterEqual') {
    const truth = w.one(COMPARISONS[fn], w.inputs(step));
    w.raw.set(output, truth);
    w.bind(output, () => w.one('Cast', [truth], { to: TYPE_CODES[output.dtype] }));
    return;
  }
  if (fn === 'prelu' && !sameShape(step.inputs[0].shapes[0], output.shapes[0])) {
    // PRelu broadcasts the weight alone: max(x, 0) + weight·min(x, 0).
    const [x, weight] = w.inputs(step);
    const zero = w.scalar(0, output.dtype);
    const below = w.one('Mul', [w.one('Min', [x, zero]), weight]);
    w.bind(output, w.one('Add', [w.one('Max', [x, zero]), below]));
    return;
  }
  w.bind(output, (fn === 'add' && linear(w, step)) || w.one(BINARY[fn], w.inputs(step)));
}

/** The value before it was repeated: operators that broadcast do that themselves. */
function beforeExpand(value: Value): Value {
  return value.maker?.name === 'expand' ? value.maker.inputs[0] : value;
}

function select(w: Writer, step: Step<'select'>): string {
  const bare = step.inputs.map(beforeExpand);
  const whole = bare[0].shapes.every((_, run) => {
    const [c, a, b] = bare.map(({ shapes }): Shape => shapes[run]);
    return sameShape(
      broadcastShapes('where', broadcastShapes('where', c, a), b),
      step.outputs[0].shapes[run],
    );
  });
  const [condition, a, b] = whole ? bare : step.inputs;
  const truth = w.raw.get(condition) ?? w.one('Cast', [w.name(condition)], { to: TYPE_CODES.bool });
  return w.one('Where', [truth, w.name(a), w.name(b)]);
}

export const elementwise: Emitters = {
  unary: gives(unary),
  binary,
  select: gives(select),
  cast: gives((w, step) =>
    w.one('Cast', [w.name(step.inputs[0])], {
      to: TYPE_CODES[w.fixed(step, 'number type', ({ dtype }) => dtype)],
    }),
  ),
};
