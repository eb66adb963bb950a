/**
 * Elementwise functions of one argument, each with its first and second derivative: the definition of every activation,
 * and the gradient of the gradient needs no other place. At a kink the derivative is PyTorch's
 * (relu′(0) = 0). NaN stays NaN.
 */
type Fn = (x: number, p: readonly number[]) => number;

/** f, f′ and f″. */
type Derivatives = readonly [Fn, Fn, Fn];

/** 1 / (1 + e⁻ˣ), without overflow on either side. */
export const logistic = (x: number): number => {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
};

/** ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|). */
const softplusOf = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** 2/√π */
const TWO_OVER_SQRT_PI = 1.1283791670955126;

/**
 * The error function to double precision. |x| < 3: the series 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!, all of one sign,
 * so nothing cancels (Abramowitz & Stegun 7.1.6). Beyond: 1 − erfc by its continued fraction (7.1.14), from the inside
 * out.
 */
function errorFunction(x: number): number {
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
const distribution = (x: number): number => 0.5 * (1 + errorFunction(x / Math.SQRT2));

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

const zero: Fn = (x) => orNaN(x, 0);

export const abs: Derivatives = [Math.abs, Math.sign, zero];

export const sign: Derivatives = [Math.sign, zero, zero];

export const floor: Derivatives = [Math.floor, zero, zero];

export const ceil: Derivatives = [Math.ceil, zero, zero];

export const exp: Derivatives = [Math.exp, Math.exp, Math.exp];

export const log: Derivatives = [Math.log, (x) => 1 / x, (x) => -1 / (x * x)];

export const sqrt: Derivatives = [Math.sqrt, (x) => 0.5 / Math.sqrt(x), (x) => -0.25 / (x * Math.sqrt(x))];

export const square: Derivatives = [(x) => x * x, (x) => 2 * x, (x) => orNaN(x, 2)];

export const reciprocal: Derivatives = [(x) => 1 / x, (x) => -1 / (x * x), (x) => 2 / (x * x * x)];

export const sin: Derivatives = [Math.sin, Math.cos, (x) => -Math.sin(x)];

export const cos: Derivatives = [Math.cos, (x) => -Math.sin(x), (x) => -Math.cos(x)];

export const erf: Derivatives = [
  errorFunction,
  (x) => TWO_OVER_SQRT_PI * Math.exp(-x * x),
  (x) => -2 * x * TWO_OVER_SQRT_PI * Math.exp(-x * x),
];

export const relu: Derivatives = [(x) => Math.max(x, 0), (x) => (x > 0 ? 1 : orNaN(x, 0)), zero];

/** x for x > 0, else slope·x. */
export const leaky: Fn = (x, [slope]) => (x > 0 ? x : slope * x);

/** Parameters [slope]. */
export const leakyRelu: Derivatives = [leaky, (x, [slope]) => (x > 0 ? 1 : orNaN(x, slope)), zero];

/** Parameters [alpha]. */
export const elu: Derivatives = [
  (x, [alpha]) => (x > 0 ? x : alpha * Math.expm1(x)),
  (x, [alpha]) => (x > 0 ? 1 : alpha * Math.exp(x)),
  (x, [alpha]) => (x > 0 ? 0 : alpha * Math.exp(x)),
];

export const selu: Derivatives = [
  (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
  (x) => SELU_SCALE * (x > 0 ? 1 : SELU_ALPHA * Math.exp(x)),
  (x) => (x > 0 ? 0 : SELU_SCALE * SELU_ALPHA * Math.exp(x)),
];

export const sigmoid: Derivatives = [
  logistic,
  (x) => logistic(x) * logistic(-x),
  (x) => logistic(x) * logistic(-x) * (logistic(-x) - logistic(x)),
];

export const tanh: Derivatives = [
  Math.tanh,
  (x) => 1 - Math.tanh(x) ** 2,
  (x) => -2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2),
];

export const softplus: Derivatives = [softplusOf, logistic, (x) => logistic(x) * logistic(-x)];

export const gelu: Derivatives = [
  (x) => x * distribution(x),
  (x) => distribution(x) + x * density(x),
  (x) => density(x) * (2 - x * x),
];

export const geluTanh: Derivatives = [
  (x) => 0.5 * x * (1 + geluInner(x).t),
  (x) => {
    const { t, du } = geluInner(x);
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du;
  },
  (x) => {
    const { t, du, ddu } = geluInner(x);
    return (1 - t * t) * (du + 0.5 * x * ddu - x * t * du * du);
  },
];

export const silu: Derivatives = [
  (x) => x * logistic(x),
  (x) => logistic(x) * (1 + x * logistic(-x)),
  (x) => logistic(x) * logistic(-x) * (2 + x * (logistic(-x) - logistic(x))),
];

/** Parameters [alpha, beta]. */
export const hardSigmoid: Derivatives = [
  (x, [a, b]) => Math.min(1, Math.max(0, a * x + b)),
  (x, [a, b]) => (a * x + b > 0 && a * x + b < 1 ? a : orNaN(x, 0)),
  zero,
];

export const hardSwish: Derivatives = [
  (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
  (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
  (x) => (Math.abs(x) < 3 ? 1 / 3 : orNaN(x, 0)),
];

export const mish: Derivatives = [
  (x) => x * Math.tanh(softplusOf(x)),
  (x) => {
    const t = Math.tanh(softplusOf(x));
    return t + x * (1 - t * t) * logistic(x);
  },
  (x) => {
    const t = Math.tanh(softplusOf(x));
    const s = logistic(x);
    return (1 - t * t) * s * (2 + x * (1 - s - 2 * t * s));
  },
];

export const softsign: Derivatives = [
  (x) => x / (1 + Math.abs(x)),
  (x) => 1 / (1 + Math.abs(x)) ** 2,
  (x) => (-2 * Math.sign(x)) / (1 + Math.abs(x)) ** 3,
];

/** x held within [min, max]. */
export const held: Fn = (x, [min, max]) => Math.min(max, Math.max(min, x));

/** Parameters [min, max]. */
export const clamp: Derivatives = [held, (x, [min, max]) => (x >= min && x <= max ? 1 : orNaN(x, 0)), zero];

/** Parameters [p]. */
export const powScalar: Derivatives = [
  (x, [p]) => x ** p,
  (x, [p]) => (p === 0 ? 0 : p * x ** (p - 1)),
  (x, [p]) => (p === 0 || p === 1 ? 0 : p * (p - 1) * x ** (p - 2)),
];
