/**
 * elementwise: arithmetic with broadcasting and the functions of one argument, activations among them.
 *
 * A function's derivative is the same kernel at the next order (kernels know f, f′ and f″), so its gradient is
 * g · f′(x) and can itself be differentiated once more.
 */
import { isGradEnabled, record, run } from '../autograd.js';
import type { BinaryName, UnaryFunction } from '../backend.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import * as functions from '../functions.js';
import * as operation from '../operations.js';
import { broadcastShapes, sameShape } from '../shape.js';
import { type DType, scoped, type Tensor } from '../tensor.js';
import {
  binary,
  factors,
  type Gradients,
  nothing,
  ofDifference,
  ofProduct,
  type Reads,
} from './arithmetic.js';
import { asFloat, asTensor, scalar } from './input.js';
import { cast, expand } from './layout.js';

/** A tensor, or a number that counts as a tensor of one element. */
export type Operand = Tensor | number;

const ANY_FLOAT: DType = 'float32';

/** f(a, b) of what a user gives, broadcast. */
function broadcast(
  fn: BinaryName,
  left: Operand,
  right: Operand,
  gradients?: Gradients,
  reads?: Reads,
): Tensor {
  if (typeof left === 'number' && typeof right === 'number') {
    refuse(fn, 'a', 'a or b must be a tensor, got two numbers');
  }
  const other = (typeof left === 'number' ? (right as Tensor) : left)?.dtype ?? ANY_FLOAT;
  const read = (argument: string, value: Operand) =>
    typeof value === 'number' ? scalar(fn, argument, value, other) : asTensor(fn, argument, value);
  const [a, b] = [read('a', left), read('b', right)];
  if (a.dtype !== b.dtype) {
    // The wider of the two floating-point types, as NumPy and PyTorch have it; integers are not mixed in silently.
    const floats = [a, b].every((x) => x.dtype === 'float32' || x.dtype === 'float64');
    if (!floats) refuse(fn, 'b', `a is ${a.dtype} but b is ${b.dtype}`, 'cast one of them');
    return scoped(() => broadcast(fn, cast(a, 'float64'), cast(b, 'float64'), gradients, reads));
  }
  return binary(fn, a, b, gradients, reads, broadcastShapes(fn, a.shape, b.shape));
}

/** a + b, broadcast. */
export function add(a: Operand, b: Operand): Tensor {
  return broadcast('add', a, b, (g) => [() => g, () => g], nothing);
}

/** a − b, broadcast. */
export function sub(a: Operand, b: Operand): Tensor {
  return broadcast('sub', a, b, ofDifference, nothing);
}

/**
 * a · b element by element, broadcast.
 *
 * @example
 * ```ts
 * import { mul, tensor } from 'deconv';
 * console.log(mul(tensor([[1], [2]]), tensor([10, 20])).toArray()); // [ [ 10, 20 ], [ 20, 40 ] ]
 * ```
 */
export function mul(a: Operand, b: Operand): Tensor {
  return broadcast('mul', a, b, ofProduct, factors);
}

/** a / b element by element, broadcast; floating-point only. d/db = −(a/b)/b. */
export function div(a: Operand, b: Operand): Tensor {
  for (const [argument, value] of Object.entries({ a, b })) {
    if (typeof value !== 'number') asFloat('div', argument, value);
  }
  return broadcast(
    'div',
    a,
    b,
    (g, _p, q, quotient) => [() => div(g, q), () => mul(g, div(mul(quotient, -1), q))],
    (_p, q, quotient) => [q, q.requiresGrad && quotient],
  );
}

/** a to the power of b, broadcast. d/da = b·a^(b−1), 0 where b = 0; d/db = a^b·ln a, 0 where a = 0. */
export function pow(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number') return unary('pow', functions.powScalar, a as Tensor, [b]);
  return broadcast('pow', a, b, (g, p, q, output) => [
    () => where(equal(q, 0), 0, mul(g, mul(q, pow(p, sub(q, 1))))),
    () => where(equal(p, 0), 0, mul(g, mul(output, log(p)))),
  ]);
}

/** Share of an extremum's gradient: all to the larger (or smaller), half to each of two equals. */
function share(chosen: Tensor, other: Tensor): Tensor {
  return add(greater(chosen, other), mul(equal(chosen, other), 0.5));
}

/** The larger of a and b, broadcast; NaN if either is. Equals share the gradient evenly. */
export function maximum(a: Operand, b: Operand): Tensor {
  return broadcast('maximum', a, b, (g, p, q) => [() => mul(g, share(p, q)), () => mul(g, share(q, p))]);
}

/** The smaller of a and b, broadcast; NaN if either is. Equals share the gradient evenly. */
export function minimum(a: Operand, b: Operand): Tensor {
  return broadcast('minimum', a, b, (g, p, q) => [() => mul(g, share(q, p)), () => mul(g, share(p, q))]);
}

/** 1 where a = b, else 0. No gradient. */
export function equal(a: Operand, b: Operand): Tensor {
  return broadcast('equal', a, b);
}

/** 1 where a > b, else 0. No gradient. */
export function greater(a: Operand, b: Operand): Tensor {
  return broadcast('greater', a, b);
}

/** 1 where a ≥ b, else 0. No gradient. */
export function greaterEqual(a: Operand, b: Operand): Tensor {
  return broadcast('greaterEqual', a, b);
}

/**
 * a where the condition is not 0, else b; all three broadcast. What is not chosen gets no gradient, even if it is NaN
 * or infinite.
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const op = 'where';
  const c = asTensor(op, 'condition', condition);
  const type = typeof a !== 'number' ? a?.dtype : typeof b !== 'number' ? b?.dtype : ANY_FLOAT;
  const read = (argument: string, value: Operand) =>
    typeof value === 'number'
      ? scalar(op, argument, value, type ?? ANY_FLOAT)
      : asTensor(op, argument, value);
  const [p, q] = [read('a', a), read('b', b)];
  if (p.dtype !== q.dtype) refuse(op, 'b', `a is ${p.dtype} but b is ${q.dtype}`, 'cast one of them');
  const shape = broadcastShapes(op, broadcastShapes(op, c.shape, p.shape), q.shape);
  return scoped(() => {
    // The kernels want one number type; the values of a condition are only looked at for being 0.
    const choice = p.dtype === 'float32' && c.dtype !== 'float32' ? cast(c, 'float32') : c;
    const [ce, pe, qe] = [expand(choice.detach(), shape), expand(p, shape), expand(q, shape)];
    const vjp = (g: Tensor) => [
      pe.requiresGrad ? where(ce, g, 0) : null,
      qe.requiresGrad ? where(ce, 0, g) : null,
    ];
    return record(op, run(operation.select, [ce, pe, qe], {}, shape), [pe, qe], vjp, [ce]);
  });
}

function unary(
  op: string,
  fn: UnaryFunction,
  x: Tensor,
  parameters: readonly number[] = [],
  order = 0,
): Tensor {
  const input = asFloat(op, 'x', x);
  for (const value of parameters) {
    if (typeof value !== 'number') refuse(op, 'x', `${op} takes numbers after x, got ${show(value)}`);
  }
  if (order > 2)
    refuse(op, 'createGraph', `${op} has derivatives up to the second, order ${order} was asked for`);
  const output = run(operation.unary, [input], { fn, order, parameters }, input.shape);
  // Of these f′(x) = f′(f(x)). Read from the output, it spares keeping the input: the output is kept by whatever follows.
  const bySign = order === 0 && (fn.name === 'relu' || (fn.name === 'leakyRelu' && parameters[0] >= 0));
  const vjp = (g: Tensor, y: Tensor) => {
    const at = bySign ? y : input;
    if (isGradEnabled() || order > 1) return [mul(g, unary(op, fn, at, parameters, order + 1))];
    return [run(operation.unary, [at, g], { fn, order: order + 1, parameters }, input.shape)];
  };
  return record(op, output, [input], vjp, [bySign ? output : input]);
}

/** −x. */
export function neg(x: Tensor): Tensor {
  return mul(x, -1);
}

/** |x|; derivative 0 at 0. */
export function abs(x: Tensor): Tensor {
  return unary('abs', functions.abs, x);
}

/** −1, 0 or 1 by the sign of x. */
export function sign(x: Tensor): Tensor {
  return unary('sign', functions.sign, x);
}

/** The largest integer ≤ x; derivative 0. */
export function floor(x: Tensor): Tensor {
  return unary('floor', functions.floor, x);
}

/** The smallest integer ≥ x; derivative 0. */
export function ceil(x: Tensor): Tensor {
  return unary('ceil', functions.ceil, x);
}

/** eˣ. */
export function exp(x: Tensor): Tensor {
  return unary('exp', functions.exp, x);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return unary('log', functions.log, x);
}

/** √x. */
export function sqrt(x: Tensor): Tensor {
  return unary('sqrt', functions.sqrt, x);
}

/** x². */
export function square(x: Tensor): Tensor {
  return unary('square', functions.square, x);
}

/** 1/x. */
export function reciprocal(x: Tensor): Tensor {
  return unary('reciprocal', functions.reciprocal, x);
}

/** sin x, in radians. */
export function sin(x: Tensor): Tensor {
  return unary('sin', functions.sin, x);
}

/** cos x, in radians. */
export function cos(x: Tensor): Tensor {
  return unary('cos', functions.cos, x);
}

/** The error function 2/√π ∫₀ˣ e^(−t²) dt. */
export function erf(x: Tensor): Tensor {
  return unary('erf', functions.erf, x);
}

/**
 * max(x, 0); derivative 0 at 0.
 *
 * @example
 * ```ts
 * import { relu, tensor } from 'deconv';
 * console.log(relu(tensor([-1, 0, 2])).toArray()); // [ 0, 0, 2 ]
 * ```
 */
export function relu(x: Tensor): Tensor {
  return unary('relu', functions.relu, x);
}

/** x for x > 0, else slope·x. */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  return unary('leakyRelu', functions.leakyRelu, x, [slope]);
}

/**
 * x for x > 0, else weight·x, the weight a tensor that can be learned (He et al. 2015, arXiv:1502.01852); broadcast, so
 * one weight per channel of (N, C, H, W) has the shape (C, 1, 1). d/dx = weight and d/dweight = x where x ≤ 0.
 *
 * @example
 * ```ts
 * import { prelu, tensor } from 'deconv';
 * console.log(prelu(tensor([-4, 4]), tensor([0.25])).toArray()); // [ -1, 4 ]
 * ```
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  return broadcast('prelu', asFloat('prelu', 'x', x), asFloat('prelu', 'weight', weight), (g, p, w) => [
    () => where(greater(p, 0), g, mul(g, w)),
    () => mul(g, mul(p, greaterEqual(0, p))),
  ]);
}

/** x for x > 0, else alpha·(eˣ − 1). */
export function elu(x: Tensor, alpha = 1): Tensor {
  return unary('elu', functions.elu, x, [alpha]);
}

/** 1.0507·(x for x > 0, else 1.6733·(eˣ − 1)): Klambauer et al. 2017, arXiv:1706.02515. */
export function selu(x: Tensor): Tensor {
  return unary('selu', functions.selu, x);
}

/** 1 / (1 + e⁻ˣ). */
export function sigmoid(x: Tensor): Tensor {
  return unary('sigmoid', functions.sigmoid, x);
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  return unary('tanh', functions.tanh, x);
}

/** ln(1 + eˣ). */
export function softplus(x: Tensor): Tensor {
  return unary('softplus', functions.softplus, x);
}

/** x / (1 + |x|). */
export function softsign(x: Tensor): Tensor {
  return unary('softsign', functions.softsign, x);
}

/**
 * x·Φ(x) with Φ the normal distribution (Hendrycks & Gimpel, arXiv:1606.08415); with `approximate: 'tanh'` its tanh
 * form.
 */
export function gelu(
  x: Tensor,
  options: { readonly approximate?: 'none' | 'tanh' | undefined } = {},
): Tensor {
  checkOptions('gelu', options, ['approximate']);
  const approximate = options.approximate ?? 'none';
  checkName('gelu', 'approximate', approximate, ['none', 'tanh']);
  return unary('gelu', approximate === 'tanh' ? functions.geluTanh : functions.gelu, x);
}

/** x·sigmoid(x), also called swish. */
export function silu(x: Tensor): Tensor {
  return unary('silu', functions.silu, x);
}

/** x·tanh(softplus(x)): Misra 2019, arXiv:1908.08681. */
export function mish(x: Tensor): Tensor {
  return unary('mish', functions.mish, x);
}

/** alpha·x + beta held within [0, 1]. PyTorch's defaults, 1/6 and 1/2; ONNX has alpha 0.2. */
export function hardSigmoid(
  x: Tensor,
  options: { readonly alpha?: number | undefined; readonly beta?: number | undefined } = {},
): Tensor {
  checkOptions('hardSigmoid', options, ['alpha', 'beta']);
  return unary('hardSigmoid', functions.hardSigmoid, x, [options.alpha ?? 1 / 6, options.beta ?? 0.5]);
}

/** x·hardSigmoid(x). */
export function hardSwish(x: Tensor): Tensor {
  return unary('hardSwish', functions.hardSwish, x);
}

/** x held within [min, max]; the gradient passes only inside. */
export function clamp(
  x: Tensor,
  options: { readonly min?: number | undefined; readonly max?: number | undefined } = {},
): Tensor {
  checkOptions('clamp', options, ['min', 'max']);
  const [min, max] = [options.min ?? Number.NEGATIVE_INFINITY, options.max ?? Number.POSITIVE_INFINITY];
  return unary('clamp', functions.clamp, x, [min, max]);
}

/**
 * True when both tensors have the same shape and number type and |a − b| ≤ absolute + relative·|b| for every value. An
 * infinity is close to itself alone, a NaN to nothing.
 */
export function allClose(a: Tensor, b: Tensor, relative = 1e-5, absolute = 1e-8): boolean {
  const [p, q] = [asTensor('allClose', 'a', a), asTensor('allClose', 'b', b)];
  if (!sameShape(p.shape, q.shape) || p.dtype !== q.dtype) return false;
  const [x, y] = [p.data, q.data];
  const close = (v: number, w: number) =>
    v === w || (Number.isFinite(w) && Math.abs(v - w) <= absolute + relative * Math.abs(w));
  return x.every((value, i) => close(value, y[i]));
}
