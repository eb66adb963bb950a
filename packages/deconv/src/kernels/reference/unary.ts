/**
 * Elementwise functions of one argument, each with its first and second derivative: the table is the definition of
 * every activation, and the gradient of the gradient needs no other place. At a kink the derivative is PyTorch's
 * (relu′(0) = 0). NaN stays NaN.
 */
import type { UnaryName } from '../../backend.js';

type Fn = (x: number, p: readonly number[]) => number;

/** 1 / (1 + e⁻ˣ), without overflow on either side. */
const sigmoid = (x: number): number => {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
};

/** ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|). */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/**
 * The error function to double precision. |x| < 3: the series 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!, all of one sign,
 * so nothing cancels (Abramowitz & Stegun 7.1.6). Beyond: 1 − erfc by its continued fraction (7.1.14), from the inside
 * out.
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return a >= 6 ? Math.sign(x) : x;
  if (a < 3) {
    let term = x;
    let total = x;
    for (let n = 1; Math.abs(term) > Math.abs(total) * 1e-17; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      total += term;
    }
    return TWO_OVER_SQRT_PI * Math.exp(-x * x) * total;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

/** Standard normal density φ and distribution Φ. */
const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
const distribution = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2));

/** The constants of self-normalising networks (Klambauer et al. 2017, arXiv:1706.02515). */
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

/** gelu's tanh form, c = √(2/π), a = 0.044715 (Hendrycks & Gimpel, arXiv:1606.08415): value of u, u′, u″ and tanh u. */
const geluInner = (x: number) => {
  const c = Math.sqrt(2 / Math.PI);
  const a = 0.044715;
  return { t: Math.tanh(c * (x + a * x ** 3)), du: c * (1 + 3 * a * x * x), ddu: 6 * a * c * x };
};

/** `value`, unless x is NaN, which stays. */
const orNaN = (x: number, value: number): number => (Number.isNaN(x) ? x : value);

const constant =
  (value: number): Fn =>
  (x) =>
    orNaN(x, value);

/** f, f′ and f″ by name. Parameters: leakyRelu [slope], elu [alpha], hardSigmoid [alpha, beta], clamp [min, max], powScalar [p]. */
export const UNARY: Readonly<Record<UnaryName, readonly Fn[]>> = {
  abs: [Math.abs, Math.sign, constant(0)],
  sign: [Math.sign, constant(0), constant(0)],
  floor: [Math.floor, constant(0), constant(0)],
  ceil: [Math.ceil, constant(0), constant(0)],
  exp: [Math.exp, Math.exp, Math.exp],
  log: [Math.log, (x) => 1 / x, (x) => -1 / (x * x)],
  sqrt: [Math.sqrt, (x) => 0.5 / Math.sqrt(x), (x) => -0.25 / (x * Math.sqrt(x))],
  square: [(x) => x * x, (x) => 2 * x, constant(2)],
  reciprocal: [(x) => 1 / x, (x) => -1 / (x * x), (x) => 2 / (x * x * x)],
  sin: [Math.sin, Math.cos, (x) => -Math.sin(x)],
  cos: [Math.cos, (x) => -Math.sin(x), (x) => -Math.cos(x)],
  erf: [erf, (x) => TWO_OVER_SQRT_PI * Math.exp(-x * x), (x) => -2 * x * TWO_OVER_SQRT_PI * Math.exp(-x * x)],
  relu: [(x) => Math.max(x, 0), (x) => (x > 0 ? 1 : orNaN(x, 0)), constant(0)],
  leakyRelu: [
    (x, [slope]) => (x > 0 ? x : slope * x),
    (x, [slope]) => (x > 0 ? 1 : orNaN(x, slope)),
    constant(0),
  ],
  elu: [
    (x, [alpha]) => (x > 0 ? x : alpha * Math.expm1(x)),
    (x, [alpha]) => (x > 0 ? 1 : alpha * Math.exp(x)),
    (x, [alpha]) => (x > 0 ? 0 : alpha * Math.exp(x)),
  ],
  selu: [
    (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
    (x) => SELU_SCALE * (x > 0 ? 1 : SELU_ALPHA * Math.exp(x)),
    (x) => (x > 0 ? 0 : SELU_SCALE * SELU_ALPHA * Math.exp(x)),
  ],
  sigmoid: [
    sigmoid,
    (x) => sigmoid(x) * sigmoid(-x),
    (x) => sigmoid(x) * sigmoid(-x) * (sigmoid(-x) - sigmoid(x)),
  ],
  tanh: [Math.tanh, (x) => 1 - Math.tanh(x) ** 2, (x) => -2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2)],
  softplus: [softplus, sigmoid, (x) => sigmoid(x) * sigmoid(-x)],
  gelu: [
    (x) => x * distribution(x),
    (x) => distribution(x) + x * density(x),
    (x) => density(x) * (2 - x * x),
  ],
  geluTanh: [
    (x) => 0.5 * x * (1 + geluInner(x).t),
    (x) => {
      const { t, du } = geluInner(x);
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du;
    },
    (x) => {
      const { t, du, ddu } = geluInner(x);
      return (1 - t * t) * (du + 0.5 * x * ddu - x * t * du * du);
    },
  ],
  silu: [
    (x) => x * sigmoid(x),
    (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
    (x) => sigmoid(x) * sigmoid(-x) * (2 + x * (sigmoid(-x) - sigmoid(x))),
  ],
  hardSigmoid: [
    (x, [a, b]) => Math.min(1, Math.max(0, a * x + b)),
    (x, [a, b]) => (a * x + b > 0 && a * x + b < 1 ? a : orNaN(x, 0)),
    constant(0),
  ],
  hardSwish: [
    (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
    (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
    (x) => (Math.abs(x) < 3 ? 1 / 3 : orNaN(x, 0)),
  ],
  mish: [
    (x) => x * Math.tanh(softplus(x)),
    (x) => {
      const t = Math.tanh(softplus(x));
      return t + x * (1 - t * t) * sigmoid(x);
    },
    (x) => {
      const t = Math.tanh(softplus(x));
      const s = sigmoid(x);
      return (1 - t * t) * s * (2 + x * (1 - s - 2 * t * s));
    },
  ],
  softsign: [
    (x) => x / (1 + Math.abs(x)),
    (x) => 1 / (1 + Math.abs(x)) ** 2,
    (x) => (-2 * Math.sign(x)) / (1 + Math.abs(x)) ** 3,
  ],
  clamp: [
    (x, [min, max]) => Math.min(max, Math.max(min, x)),
    (x, [min, max]) => (x >= min && x <= max ? 1 : orNaN(x, 0)),
    constant(0),
  ],
  powScalar: [
    (x, [p]) => x ** p,
    (x, [p]) => (p === 0 ? 0 : p * x ** (p - 1)),
    (x, [p]) => (p === 0 || p === 1 ? 0 : p * (p - 1) * x ** (p - 2)),
  ],
};
