/**
 * formulas: the functions of one argument as texts for the vector kernels (see formula.ts for the language): f, f′ and f″ of
 * x, as far as they are not 0; p and q are the function's parameters. Written so that nothing cancels in float32 that would
 * not in float64. What is not here, sines, is computed by the definitions.
 */

export const abs = ['abs(x)', 'sign(x)'];

export const sign = ['sign(x)'];

export const floor = ['floor(x)'];

export const ceil = ['ceil(x)'];

export const exp = ['exp(x)', 'exp(x)', 'exp(x)'];

export const log = ['log(x)', '1/x', '-1/(x*x)'];

export const sqrt = ['sqrt(x)', '.5/sqrt(x)', '-.25/(x*sqrt(x))'];

export const square = ['x*x', '2*x', '2+none(x)'];

export const reciprocal = ['1/x', '-1/(x*x)', '2/(x*x*x)'];

export const erf = ['erf(x)', '1.1283791671*exp(-(x*x))', 'exp(-(x*x))*x*-2.2567583342'];

export const relu = ['max(x,0)', 'x>0 ? 1 : none(x)'];

export const leakyRelu = ['x>0 ? x : p*x', 'x>0 ? 1 : p+none(x)'];

export const elu = ['x>0 ? x : p*expm1(x)', 'x>0 ? 1 : p*exp(x)', 'x>0 ? 0 : p*exp(x)'];

/** λ = 1.0507… and λα = 1.7581… */
export const selu = [
  'x>0 ? 1.050700987*x : 1.758099341*expm1(x)',
  'x>0 ? 1.050700987 : 1.758099341*exp(x)',
  'x>0 ? 0 : 1.758099341*exp(x)',
];

export const sigmoid = ['sigmoid(x)', 'sigmoid(x)*sigmoid(-x)', 'sigmoid(x)*sigmoid(-x)*-tanh(.5*x)'];

export const tanh = ['tanh(x)', 'sech2(x)', '-2*tanh(x)*sech2(x)'];

export const softplus = ['softplus(x)', 'sigmoid(x)', 'sigmoid(x)*sigmoid(-x)'];

export const gelu = ['x*normalOf(x)', 'normalOf(x)+x*density(x)', 'density(x)*2-density(x)*x*x'];

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

export const hardSigmoid = ['min(1,max(0,p*x+q))', 'p*x+q>0 ? (p*x+q<1 ? p : none(x)) : none(x)'];

export const hardSwish = [
  'x*min(1,max(0,x/6+.5))',
  'x<=-3 ? 0 : x>=3 ? 1 : x/3+.5',
  'abs(x)<3 ? 1/3 : none(x)',
];

export const mish = [
  'x*mishTanh(x)',
  'mishTanh(x)+x*mishSech2(x)*sigmoid(x)',
  '2*mishSech2(x)*sigmoid(x)+mishSech2(x)*sigmoid(x)*x*(1-sigmoid(x)-2*mishTanh(x)*sigmoid(x))',
];

export const softsign = [
  'x/(1+abs(x))',
  '1/((1+abs(x))*(1+abs(x)))',
  '-2*sign(x)/((1+abs(x))*(1+abs(x))*(1+abs(x)))',
];

export const clamp = ['min(q,max(p,x))', 'x>=p ? (x<=q ? 1 : none(x)) : none(x)'];

/** The nth power as products, for a small integer n. */
const product = (n: number): string =>
  n < 0 ? `1/(${product(-n)})` : n === 0 ? '1' : new Array(n).fill('x').join('*');

/** Small whole powers, which the host is slow at. */
export function powScalar(order: number, [p]: readonly number[]): string | undefined {
  if (!Number.isInteger(p) || Math.abs(p) > 4) return undefined;
  const factor = [1, p, p * (p - 1)][order];
  return factor === 0 ? '0' : `${factor}*(${product(p - order)})`;
}
