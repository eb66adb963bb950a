/**
 * Elementwise loops: the table of functions as formulas for the vector kernels (see formula.ts for the language), and what
 * is left, sines and powers, by the host's own functions. Derivatives are written so that nothing cancels in float32 that
 * would not in float64.
 */
import type { BinaryName, OpTable, UnaryName } from '../../../backend.js';
import { sizeOf } from '../../../shape.js';
import type { Loop } from './ground.js';
import { axesOf, broadcastStrides, single, walk } from './views.js';

/** The constants of selu: λ, and λα. */
const SELU = ['1.050700987', '1.758099341'];
/** gelu's tanh form: 2u, which has ½(1 + tanh u) = σ(2u); u′; and σ(2u)·σ(−2u). Far out all are what they are at ±30. */
const U2 = '1.5957691216*(y+.044715*y*y*y)';
const DU = '(.7978845608*(1+.134145*y*y))';
const SS = `sigmoid(${U2})*sigmoid(-(${U2}))`;
/** A formula in which y stands for x held to ±30. */
const held = (text: string) => text.replaceAll('y', 'min(max(x,-30),30)');

/** f, f′ and f″ of x, as far as they are not 0; p and q are the function's parameters. */
const UNARY: Readonly<Partial<Record<UnaryName, readonly string[]>>> = {
  abs: ['abs(x)', 'sign(x)'],
  sign: ['sign(x)'],
  floor: ['floor(x)'],
  ceil: ['ceil(x)'],
  exp: ['exp(x)', 'exp(x)', 'exp(x)'],
  log: ['log(x)', '1/x', '-1/(x*x)'],
  sqrt: ['sqrt(x)', '.5/sqrt(x)', '-.25/(x*sqrt(x))'],
  square: ['x*x', '2*x', '2+none(x)'],
  reciprocal: ['1/x', '-1/(x*x)', '2/(x*x*x)'],
  erf: ['erf(x)', '1.1283791671*exp(-(x*x))', 'exp(-(x*x))*x*-2.2567583342'],
  relu: ['max(x,0)', 'x>0 ? 1 : none(x)'],
  leakyRelu: ['x>0 ? x : p*x', 'x>0 ? 1 : p+none(x)'],
  elu: ['x>0 ? x : p*expm1(x)', 'x>0 ? 1 : p*exp(x)', 'x>0 ? 0 : p*exp(x)'],
  selu: [
    `x>0 ? ${SELU[0]}*x : ${SELU[1]}*expm1(x)`,
    `x>0 ? ${SELU[0]} : ${SELU[1]}*exp(x)`,
    `x>0 ? 0 : ${SELU[1]}*exp(x)`,
  ],
  sigmoid: ['sigmoid(x)', 'sigmoid(x)*sigmoid(-x)', 'sigmoid(x)*sigmoid(-x)*-tanh(.5*x)'],
  tanh: ['tanh(x)', 'sech2(x)', '-2*tanh(x)*sech2(x)'],
  softplus: ['softplus(x)', 'sigmoid(x)', 'sigmoid(x)*sigmoid(-x)'],
  gelu: ['x*normalOf(x)', 'normalOf(x)+x*density(x)', 'density(x)*2-density(x)*x*x'],
  geluTanh: [
    `x*sigmoid(${U2})`,
    `sigmoid(${U2})+2*${SS}*x*${DU}`,
    `4*${SS}*${DU}+4*${SS}*x*(.10703222*y-tanh(.5*${U2})*${DU}*${DU})`,
  ].map(held),
  silu: ['x*sigmoid(x)', 'sigmoid(x)*(1+x*sigmoid(-x))', 'sigmoid(x)*sigmoid(-x)*(2-x*tanh(.5*x))'],
  hardSigmoid: ['min(1,max(0,p*x+q))', 'p*x+q>0 ? (p*x+q<1 ? p : none(x)) : none(x)'],
  hardSwish: ['x*min(1,max(0,x/6+.5))', 'x<=-3 ? 0 : x>=3 ? 1 : x/3+.5', 'abs(x)<3 ? 1/3 : none(x)'],
  mish: [
    'x*mishTanh(x)',
    'mishTanh(x)+x*mishSech2(x)*sigmoid(x)',
    '2*mishSech2(x)*sigmoid(x)+mishSech2(x)*sigmoid(x)*x*(1-sigmoid(x)-2*mishTanh(x)*sigmoid(x))',
  ],
  softsign: ['x/(1+abs(x))', '1/((1+abs(x))*(1+abs(x)))', '-2*sign(x)/((1+abs(x))*(1+abs(x))*(1+abs(x)))'],
  clamp: ['min(q,max(p,x))', 'x>=p ? (x<=q ? 1 : none(x)) : none(x)'],
};

type Scalar = (x: number, p: number) => number;

/** The same for what the host computes. */
const HOST: Readonly<Partial<Record<UnaryName, readonly Scalar[]>>> = {
  sin: [Math.sin, Math.cos, (x) => -Math.sin(x)],
  cos: [Math.cos, (x) => -Math.sin(x), (x) => -Math.cos(x)],
  powScalar: [(x, p) => x ** p, (x, p) => p * x ** (p - 1), (x, p) => p * (p - 1) * x ** (p - 2)],
};

/** The nth power as products, for a small integer n. */
const product = (n: number): string =>
  n < 0 ? `1/(${product(-n)})` : n === 0 ? '1' : new Array(n).fill('x').join('*');

/** f, f′ or f″ as a formula, if it is one: also small whole powers, which the host is slow at. */
function formulaOf(fn: UnaryName, order: number, [p]: readonly number[]): string | undefined {
  if (fn !== 'powScalar' || !Number.isInteger(p) || Math.abs(p) > 4)
    return UNARY[fn] && (UNARY[fn][order] ?? 'none(x)');
  const factor = [1, p, p * (p - 1)][order];
  return factor === 0 ? '0' : `${factor}*(${product(p - order)})`;
}

/** (x) → f, f′ or f″ of each element. */
export const unary: Loop<OpTable['unary']> = (ground, [x], { fn, order, parameters }) => {
  const from = ground.at(x);
  const { storage, at } = ground.result(x.length);
  const text = formulaOf(fn, order, parameters);
  if (text !== undefined) {
    ground.kernels.apply(text, 'x', '1', [at, 0], 1, x.length, [[from, 0]], parameters);
    return storage;
  }
  const f = HOST[fn]?.[order] as Scalar;
  const [values, out] = [ground.floats(from, x.length), ground.floats(at, x.length)];
  const [p] = parameters;
  for (let i = 0; i < out.length; i++) out[i] = f(values[i], p);
  return storage;
};

const BINARY: Readonly<Partial<Record<BinaryName, string>>> = {
  add: 'a+b',
  sub: 'a-b',
  mul: 'a*b',
  div: 'a/b',
  maximum: 'max(a,b)',
  minimum: 'min(a,b)',
  equal: 'a==b ? 1 : 0',
  greater: 'a>b ? 1 : 0',
  greaterEqual: 'a>=b ? 1 : 0',
};

/** (a, b) → f(a, b), broadcast; but powers are left to the reference, whose loop costs little beside them. */
export const binary: Loop<OpTable['binary']> = (ground, [a, b], { fn, aShape, bShape, shape }) => {
  const text = BINARY[fn];
  if (text === undefined) return undefined;
  const operands = [ground.at(a), ground.at(b)];
  const { storage, at } = ground.result(sizeOf(shape));
  const axes = axesOf(shape, broadcastStrides(aShape, shape), broadcastStrides(bShape, shape));
  const row = axes.pop() ?? single(2);
  const rows = axes.pop() ?? single(2);
  let out = at;
  walk(axes, [0, 0], (places) => {
    const inputs = operands.map((from, i) => [from + 4 * places[i], 4 * rows.steps[i]] as const);
    const target = [out, 4 * row.length] as const;
    ground.kernels.apply(text, 'ab', row.steps.join(''), target, rows.length, row.length, inputs);
    out += target[1] * rows.length;
  });
  return storage;
};

/** (condition, a, b) → a where condition ≠ 0, else b. */
export const select: Loop<OpTable['select']> = (ground, inputs) => {
  const places = inputs.map((input) => [ground.at(input), 0] as const);
  const { length } = inputs[0];
  const { storage, at } = ground.result(length);
  ground.kernels.apply('c==0 ? b : a', 'cab', '111', [at, 0], 1, length, places);
  return storage;
};

/** (x) → the same in another number type, rounded as typed arrays do. */
export const cast: Loop<OpTable['cast']> = (ground, [x], { dtype }) => {
  const from = ground.at(x);
  const { storage } = ground.result(x.length, dtype);
  storage.peek().set(ground.floats(from, x.length));
  return storage;
};
