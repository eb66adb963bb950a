/**
 * Arithmetic: functions of one number, of two numbers with broadcasting, of several, comparisons and logic. Floating
 * point goes through the library's operations; integers and booleans, which only shapes and masks are made of, element by
 * element, wrapped to their width.
 */
import {
  abs,
  add,
  ceil,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  greaterEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  reciprocal,
  sign,
  sin,
  sqrt,
  sub,
  where,
} from '../../ops/elementwise.js';
import { cast } from '../../ops/layout.js';
import { broadcastShapes, type Shape } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import type { NodeContext, Operator, Planned } from '../node.js';
import { heldAs, isFloat, isInteger, roundHalfEven } from '../types.js';
import { chain, mapElements, zipElements } from '../values.js';

type One = (x: number) => number;
type Two = (a: number, b: number) => number;

/** A function of one number; `integers` where they are allowed too. */
function unary(f: (x: Tensor) => Tensor, integers?: One): Operator {
  return {
    inputs: [1, 1],
    outputs: 1,
    attributes: [],
    plan(node) {
      const type = node.type(0);
      const shape = node.shape(0);
      if (isInteger(type) && integers !== undefined)
        return { outputs: [{ type, shape }], run: ([x]) => [mapElements(x, type, integers)] };
      return { outputs: [{ type: node.float(0), shape }], run: ([x]) => [f(x)] };
    },
  };
}

/** A function of one floating-point number that the library does not have: element by element. */
const rare = (f: One): Operator =>
  unary((x) => mapElements(x, x.dtype === 'float64' ? 'float64' : 'float32', f));

const shapeOf = (node: NodeContext): number[] => broadcastShapes(node.label, node.shape(0), node.shape(1));

/** A function of two numbers of one type, with broadcasting. */
function binary(f: (a: Tensor, b: Tensor) => Tensor, integers: Two): Operator {
  return {
    inputs: [2, 2],
    outputs: 1,
    attributes: [],
    plan(node) {
      const type = node.sameType(0, 1);
      const shape = shapeOf(node);
      const run = isFloat(type) ? f : (a: Tensor, b: Tensor) => zipElements(a, b, shape, type, integers);
      return { outputs: [{ type, shape }], run: ([a, b]) => [run(a, b)] };
    },
  };
}

/** A comparison: 1 or 0, as booleans. */
function comparison(f: (a: Tensor, b: Tensor) => Tensor, others: Two): Operator {
  return {
    inputs: [2, 2],
    outputs: 1,
    attributes: [],
    plan(node) {
      const type = node.sameType(0, 1);
      const shape = shapeOf(node);
      const run = isFloat(type)
        ? (a: Tensor, b: Tensor) => chain(f(a, b), (v) => cast(v, 'uint8'))
        : (a: Tensor, b: Tensor) => zipElements(a, b, shape, 'bool', others);
      return { outputs: [{ type: 'bool', shape }], run: ([a, b]) => [run(a, b)] };
    },
  };
}

/** Logic on booleans. */
const logic = (f: Two): Operator => ({
  inputs: [2, 2],
  outputs: 1,
  attributes: [],
  plan(node) {
    if (node.sameType(0, 1) !== 'bool')
      node.refuse('inputs', `the inputs must be bool, they are ${node.type(0)}`);
    const shape = shapeOf(node);
    return { outputs: [{ type: 'bool', shape }], run: ([a, b]) => [zipElements(a, b, shape, 'bool', f)] };
  },
});

/** A question about each floating-point number. */
function question(
  f: (node: NodeContext) => (x: number) => boolean,
  attributes: readonly string[] = [],
): Operator {
  return {
    inputs: [1, 1],
    outputs: 1,
    attributes,
    plan(node) {
      node.float(0);
      const ask = f(node);
      return {
        outputs: [{ type: 'bool', shape: node.shape(0) }],
        run: ([x]) => [mapElements(x, 'bool', (v) => Number(ask(v)))],
      };
    },
  };
}

/** A function of any number of inputs, folded from the left. */
function variadic(f: (a: Tensor, b: Tensor) => Tensor, integers: Two, mean = false): Operator {
  return {
    inputs: [1, Number.POSITIVE_INFINITY],
    outputs: 1,
    attributes: [],
    plan(node) {
      const { count } = node;
      const type = node.sameType(...Array.from({ length: count }, (_, i) => i));
      const shapes = Array.from({ length: count }, (_, i) => node.shape(i));
      const shape = shapes.reduce<Shape>((all, one) => broadcastShapes(node.label, all, one), []);
      const both = isFloat(type)
        ? f
        : (a: Tensor, b: Tensor) =>
            zipElements(a, b, broadcastShapes(node.label, a.shape, b.shape), type, integers);
      return {
        outputs: [{ type, shape }],
        run: ([first, ...rest]) => {
          const steps = rest.map((x) => (v: Tensor) => both(v, x));
          return [chain(first, ...steps, (v) => (mean && count > 1 ? mul(v, 1 / count) : v))];
        },
      };
    },
  };
}

/** The base's type decides; the exponent may have another. */
function planPow(node: NodeContext): Planned {
  const [type, shape] = [node.type(0), shapeOf(node)];
  const outputs = [{ type, shape }];
  if (!isFloat(type)) return { outputs, run: ([a, b]) => [zipElements(a, b, shape, type, (x, y) => x ** y)] };
  const constant = node.constant(1);
  if (constant !== undefined && constant.size === 1 && constant.rank <= node.shape(0).length) {
    const exponent = node.known(1)[0];
    return { outputs, run: ([x]) => [pow(x, exponent)] };
  }
  const held = heldAs(type);
  return {
    outputs,
    run: ([a, b]) => [
      chain(
        b,
        (v) => cast(v, held),
        (v) => pow(a, v),
      ),
    ],
  };
}

/** Remainder: with fmod the sign is the dividend's, else the divisor's. */
function planMod(node: NodeContext): Planned {
  const type = node.sameType(0, 1);
  const shape = shapeOf(node);
  const fmod = node.flag('fmod', false);
  if (isFloat(type) && !fmod)
    node.refuse('fmod', 'floating-point remainders need fmod = 1', 'the standard leaves them open otherwise');
  const f: Two = fmod ? (a, b) => a % b : (a, b) => a - b * Math.floor(a / b);
  return { outputs: [{ type, shape }], run: ([a, b]) => [zipElements(a, b, shape, type, f)] };
}

function planNot(node: NodeContext): Planned {
  if (node.type(0) !== 'bool') node.refuse('inputs', `the input must be bool, it is ${node.type(0)}`);
  return {
    outputs: [{ type: 'bool', shape: node.shape(0) }],
    run: ([x]) => [mapElements(x, 'bool', (v) => 1 - v)],
  };
}

function planWhere(node: NodeContext): Planned {
  if (node.type(0) !== 'bool') node.refuse('inputs', `the condition must be bool, it is ${node.type(0)}`);
  const type = node.sameType(1, 2);
  const shape = broadcastShapes(node.label, shapeOf(node), node.shape(2));
  return { outputs: [{ type, shape }], run: ([c, a, b]) => [where(c, a, b)] };
}

const floorDiv: Two = (a, b) => Math.trunc(a / b);

export const arithmetic: Readonly<Record<string, Operator>> = {
  Add: binary(add, (a, b) => a + b),
  Sub: binary(sub, (a, b) => a - b),
  Mul: binary(mul, (a, b) => a * b),
  Div: binary(div, floorDiv),
  Pow: { inputs: [2, 2], outputs: 1, attributes: [], plan: planPow },
  Mod: { inputs: [2, 2], outputs: 1, attributes: ['fmod'], plan: planMod },
  Neg: unary(neg, (x) => -x),
  Abs: unary(abs, Math.abs),
  Sign: unary(sign, Math.sign),
  Sqrt: unary(sqrt),
  Exp: unary(exp),
  Log: unary(log),
  Reciprocal: unary(reciprocal),
  Floor: unary(floor),
  Ceil: unary(ceil),
  Round: rare(roundHalfEven),
  Erf: unary(erf),
  Sin: unary(sin),
  Cos: unary(cos),
  Tan: rare(Math.tan),
  Asin: rare(Math.asin),
  Acos: rare(Math.acos),
  Atan: rare(Math.atan),
  Sinh: rare(Math.sinh),
  Cosh: rare(Math.cosh),
  Asinh: rare(Math.asinh),
  Acosh: rare(Math.acosh),
  Atanh: rare(Math.atanh),
  Max: variadic(maximum, Math.max),
  Min: variadic(minimum, Math.min),
  Sum: variadic(add, (a, b) => a + b),
  Mean: variadic(add, (a, b) => a + b, true),
  Equal: comparison(equal, (a, b) => Number(a === b)),
  Greater: comparison(greater, (a, b) => Number(a > b)),
  GreaterOrEqual: comparison(greaterEqual, (a, b) => Number(a >= b)),
  Less: comparison(
    (a, b) => greater(b, a),
    (a, b) => Number(a < b),
  ),
  LessOrEqual: comparison(
    (a, b) => greaterEqual(b, a),
    (a, b) => Number(a <= b),
  ),
  And: logic((a, b) => a & b),
  Or: logic((a, b) => a | b),
  Xor: logic((a, b) => a ^ b),
  Not: { inputs: [1, 1], outputs: 1, attributes: [], plan: planNot },
  IsNaN: question(() => Number.isNaN),
  IsInf: question(
    (node) => {
      const [down, up] = [node.flag('detect_negative', true), node.flag('detect_positive', true)];
      return (x) => (up && x === Number.POSITIVE_INFINITY) || (down && x === Number.NEGATIVE_INFINITY);
    },
    ['detect_negative', 'detect_positive'],
  ),
  Where: { inputs: [3, 3], outputs: 1, attributes: [], plan: planWhere },
};
