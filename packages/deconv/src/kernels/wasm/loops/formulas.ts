/**
 * formulas: the functions of one argument as texts for the vector kernels (see formula.ts for the language): f, f′ and f″ of
 * x, as far as they are not 0; p and q are the function's parameters. Written so that nothing cancels in float32 that would
 * not in float64. What is not here, sines, is computed by the definitions.
 *
 * Where the mathematics of their own functions comes from: ln x = k·ln 2 + ln m with √½ ≤ m < √2 and s = (m − 1)/(m + 1),
 * ln m = 2s + 2s³/3 + … (fdlibm's logf); erfc x = e^(−x²) times a polynomial in 1/(1 + 0.4 x), fitted to 10⁻⁷ for this file.
 */

// 0, or NaN where t is.
const NONE = 'none(t)=min(abs(t),0);';

const SIGN = 'sign(t)=t>0 ? 1 : t<0 ? -1 : t;';

// 1 − tanh²
const SECH2 = 'sech2Of(e)=4*e/((1+e)*(1+e));sech2(t)=sech2Of(exp(-2*abs(t)));';

// Numbers below 2⁻¹²⁶ have no full mantissa: times 2²⁵ first. √½ = 0x3f3504f3.
const LOG =
  'normal(t)=t<1.17549435e-38 ? t*33554432 : t;' +
  'bits(t)=iadd(normal(t),#4913933);' +
  'twosOf(t)=toFloat(isub(right(bits(t),#23),#127))-(t<1.17549435e-38 ? 25 : 0);' +
  'fraction(t)=iadd(iand(bits(t),#8388607),#1060439283)-1;' +
  'ratio(m)=m/(2+m);' +
  'series(m,z)=.5*m*m+z*poly(z,.242790788,.284987867,.400009722,.666666627);' +
  'lnOf(t,k,m)=k*.693138123+(m-(.5*m*m-(ratio(m)*series(m,ratio(m)*ratio(m))+k*9.05800061e-6)));' +
  'log(t)=t>0 ? (t<1/0 ? lnOf(t,twosOf(t),fraction(t)) : t) : t==0 ? -1/0 : 0/0;';

// ln(1 + y) = 2·artanh s = 2(s + s³/3 + s⁵/5 + …), s = y/(2 + y), for 0 ≤ y ≤ 1.
const SOFTPLUS =
  'artanh2(s)=s*poly(s*s,2/15,2/13,2/11,2/9,2/7,2/5,2/3,2);' +
  'softplusOf(t,y)=max(t,0)+artanh2(y/(2+y));' +
  'softplus(t)=softplusOf(t,exp(-abs(t)));';

// tanh(softplus t) = w/(w + 2), w = eᵗ(eᵗ + 2), and 1 − its square.
const MISH =
  'mishOf(e)=e*(e+2);' +
  'mishW(t)=mishOf(exp(min(t,30)));' +
  'mishTanh(t)=mishW(t)/(mishW(t)+2);' +
  'mishSech2(t)=4*(mishW(t)+1)/((mishW(t)+2)*(mishW(t)+2));';

// For t ≥ 0.
const ERFC =
  'erfcx(u)=u*poly(u,.06807757,-.36630958,.63081053,-.31907629,.37605825,.15100281,.23432133,.22511529);' +
  'erfc(t)=exp(-(t*t))*erfcx(1/(1+.4*t));';

const ERF =
  'erf(t)=abs(t)<.5 ? t*poly(t*t,.00471798,-.02675718,.11282823,-.37612609,1.12837917) : sign(t)*(1-erfc(abs(t)));';

// Normal density and distribution.
const NORMAL =
  'density(t)=.3989422804*exp(-.5*t*t);' +
  'tail(t)=.5*erfc(.7071067812*abs(t));' +
  'normalOf(t)=t<0 ? tail(t) : 1-tail(t);';

/** Formulas with functions of their own in front. Pure, so that a program contains those it uses. */
const using = (own: readonly string[], formulas: readonly string[]): readonly string[] =>
  formulas.map((formula) => own.join('') + formula);

export const abs = /* @__PURE__ */ using([SIGN], ['abs(x)', 'sign(x)']);

export const sign = /* @__PURE__ */ using([SIGN], ['sign(x)']);

export const floor = ['floor(x)'];

export const ceil = ['ceil(x)'];

export const exp = ['exp(x)', 'exp(x)', 'exp(x)'];

export const log = /* @__PURE__ */ using([LOG], ['log(x)', '1/x', '-1/(x*x)']);

export const sqrt = ['sqrt(x)', '.5/sqrt(x)', '-.25/(x*sqrt(x))'];

export const square = /* @__PURE__ */ using([NONE], ['x*x', '2*x', '2+none(x)']);

export const reciprocal = ['1/x', '-1/(x*x)', '2/(x*x*x)'];

export const erf = /* @__PURE__ */ using(
  [SIGN, ERFC, ERF],
  ['erf(x)', '1.1283791671*exp(-(x*x))', 'exp(-(x*x))*x*-2.2567583342'],
);

export const relu = /* @__PURE__ */ using([NONE], ['max(x,0)', 'x>0 ? 1 : none(x)']);

export const leakyRelu = /* @__PURE__ */ using([NONE], ['x>0 ? x : p*x', 'x>0 ? 1 : p+none(x)']);

export const elu = ['x>0 ? x : p*expm1(x)', 'x>0 ? 1 : p*exp(x)', 'x>0 ? 0 : p*exp(x)'];

/** λ = 1.0507… and λα = 1.7581… */
export const selu = [
  'x>0 ? 1.050700987*x : 1.758099341*expm1(x)',
  'x>0 ? 1.050700987 : 1.758099341*exp(x)',
  'x>0 ? 0 : 1.758099341*exp(x)',
];

export const sigmoid = ['sigmoid(x)', 'sigmoid(x)*sigmoid(-x)', 'sigmoid(x)*sigmoid(-x)*-tanh(.5*x)'];

export const tanh = /* @__PURE__ */ using([SECH2], ['tanh(x)', 'sech2(x)', '-2*tanh(x)*sech2(x)']);

export const softplus = /* @__PURE__ */ using(
  [SOFTPLUS],
  ['softplus(x)', 'sigmoid(x)', 'sigmoid(x)*sigmoid(-x)'],
);

export const gelu = /* @__PURE__ */ using(
  [ERFC, NORMAL],
  ['x*normalOf(x)', 'normalOf(x)+x*density(x)', 'density(x)*2-density(x)*x*x'],
);

/**
 * The tanh form, by 2u, which has ½(1 + tanh u) = σ(2u); u′; and σ(2u)·σ(−2u). Far out all are what they are at ±30.
 */
export const geluTanh = /* @__PURE__ */ (() => {
  const y = 'min(max(x,-30),30)';
  const u2 = `1.5957691216*(${y}+.044715*${y}*${y}*${y})`;
  const du = `(.7978845608*(1+.134145*${y}*${y}))`;
  const ss = `sigmoid(${u2})*sigmoid(-(${u2}))`;
  return [
    `x*sigmoid(${u2})`,
    `sigmoid(${u2})+2*${ss}*x*${du}`,
    `4*${ss}*${du}+4*${ss}*x*(.10703222*${y}-tanh(.5*${u2})*${du}*${du})`,
  ];
})();

export const silu = [
  'x*sigmoid(x)',
  'sigmoid(x)*(1+x*sigmoid(-x))',
  'sigmoid(x)*sigmoid(-x)*(2-x*tanh(.5*x))',
];

export const hardSigmoid = /* @__PURE__ */ using(
  [NONE],
  ['min(1,max(0,p*x+q))', 'p*x+q>0 ? (p*x+q<1 ? p : none(x)) : none(x)'],
);

export const hardSwish = /* @__PURE__ */ using(
  [NONE],
  ['x*min(1,max(0,x/6+.5))', 'x<=-3 ? 0 : x>=3 ? 1 : x/3+.5', 'abs(x)<3 ? 1/3 : none(x)'],
);

export const mish = /* @__PURE__ */ using(
  [MISH],
  [
    'x*mishTanh(x)',
    'mishTanh(x)+x*mishSech2(x)*sigmoid(x)',
    '2*mishSech2(x)*sigmoid(x)+mishSech2(x)*sigmoid(x)*x*(1-sigmoid(x)-2*mishTanh(x)*sigmoid(x))',
  ],
);

export const softsign = /* @__PURE__ */ using(
  [SIGN],
  ['x/(1+abs(x))', '1/((1+abs(x))*(1+abs(x)))', '-2*sign(x)/((1+abs(x))*(1+abs(x))*(1+abs(x)))'],
);

export const clamp = /* @__PURE__ */ using(
  [NONE],
  ['min(q,max(p,x))', 'x>=p ? (x<=q ? 1 : none(x)) : none(x)'],
);

/**
 * A formula of t for `factor` times its pth power, for small multiples p of a quarter: products of t and of its roots. As the power has
 * it, the root of −0 is 0 and that of −∞ is ∞.
 */
function powerOf(p: number, factor = 1): string | undefined {
  const quarters = 4 * Math.abs(p);
  if (!Number.isInteger(quarters) || quarters > 16) return undefined;
  const [whole, half, quarter] = [quarters >> 2, (quarters >> 1) & 1, quarters & 1];
  const rooted = half + quarter > 0;
  const base = rooted ? '(t==-1/0 ? 1/0 : t+0)' : 't';
  const factors = [
    ...new Array<string>(whole).fill(base),
    ...new Array<string>(half).fill(`sqrt(${base})`),
    ...new Array<string>(quarter).fill(`sqrt(sqrt(${base}))`),
  ];
  if (p >= 0) return [factor, ...factors].join('*');
  // Their product may be too small for a float where the quotient is not too large.
  return rooted
    ? [factor, ...factors.map((one) => `1/${one}`)].join('*')
    : `${factor}/(${factors.join('*')})`;
}

/** Powers, which the host is slow at, where roots and products do. */
export function powScalar(order: number, [p]: readonly number[]): string | undefined {
  const factor = [1, p, p * (p - 1)][order];
  if (factor === 0) return '0';
  const power = powerOf(p - order, factor);
  return power && `power(t)=${power};power(x)`;
}

/**
 * x / (q + p·Σ)^beta, Σ the squares of so many neighbours a, b, …; undefined for a beta that is no multiple of a quarter, or more
 * neighbours than a kernel takes.
 */
export function localResponse(neighbours: number, beta: number): string | undefined {
  const power = powerOf(-beta);
  if (power === undefined || neighbours > NEIGHBOURS.length) return undefined;
  const squares = [...NEIGHBOURS.slice(0, neighbours)].map((name) => `${name}*${name}`);
  return `power(t)=${power};x*power(q+p*(${squares.join('+')}))`;
}

/** Names of neighbours. */
export const NEIGHBOURS = 'abcdef';
