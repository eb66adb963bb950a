/**
 * formula-functions: what formulas can say: operators and functions that are one instruction, and functions written in
 * formulas themselves.
 *
 * Where the mathematics comes from: eˣ = 2ⁿ·eʳ with r = x − n·ln 2, |r| ≤ ln 2 / 2, by a polynomial (Cephes' expf);
 * ln x = k·ln 2 + ln m with √½ ≤ m < √2 and s = (m − 1)/(m + 1), ln m = 2s + 2s³/3 + … (fdlibm's logf); erfc x = e^(−x²)
 * times a polynomial in 1/(1 + 0.4 x), fitted to 10⁻⁷ for this file. NaN and infinities come out as in float64.
 */
import type { VectorName } from './assembler.js';

/** Binary operators by binding strength, loosest first. */
export const LEVELS: readonly Readonly<Record<string, VectorName>>[] = [
  { '<': 'f32x4.lt', '>': 'f32x4.gt', '<=': 'f32x4.le', '>=': 'f32x4.ge', '==': 'f32x4.eq' },
  { '+': 'f32x4.add', '-': 'f32x4.sub' },
  { '*': 'f32x4.mul', '/': 'f32x4.div' },
];

export const OPERATORS: Readonly<Record<string, VectorName>> = Object.assign(
  { '?': 'v128.bitselect' },
  ...LEVELS,
);

/** Functions that are one instruction. */
export const INSTRUCTIONS: Readonly<Record<string, VectorName>> = {
  abs: 'f32x4.abs',
  ceil: 'f32x4.ceil',
  floor: 'f32x4.floor',
  max: 'f32x4.max',
  min: 'f32x4.min',
  neg: 'f32x4.neg',
  pmax: 'f32x4.pmax',
  pmin: 'f32x4.pmin',
  sqrt: 'f32x4.sqrt',
  iadd: 'i32x4.add',
  iand: 'v128.and',
  isub: 'i32x4.sub',
  left: 'i32x4.shl',
  right: 'i32x4.shr_s',
  toFloat: 'f32x4.convert_i32x4_s',
};

/** Functions written in the language: parameters, and the value. */
export const DEFINITIONS: Readonly<Record<string, readonly [parameters: string, body: string]>> = {
  // 0, or NaN where t is.
  none: ['t', 'min(abs(t),0)'],
  sign: ['t', 't>0 ? 1 : t<0 ? -1 : t'],
  power2: ['i', 'left(iadd(i,#127),#23)'],
  // v·2ⁿ in two steps: 2ⁿ alone may be too large or too small for a float.
  scaled: ['v,i', 'v*power2(right(i,#1))*power2(isub(i,right(i,#1)))'],
  // Beyond these ends eˣ is 0 or infinite. Of a NaN and a number pmax and pmin take the first.
  ends: ['t', 'pmin(pmax(t,-104),89)'],
  // x / ln 2 + 3·2²²: the low bits are the nearest integer, beside those of 3·2²² (0x4b400000).
  shifted: ['t', 'ends(t)*1.442695041+12582912'],
  twos: ['t', 'shifted(t)-12582912'],
  exponent: ['t', 'isub(shifted(t),#1262485504)'],
  rest: ['t', 'ends(t)-twos(t)*.693359375+twos(t)*2.1219444e-4'],
  // eʳ − 1
  small: ['r', 'poly(r,1.98756915e-4,.00139819995,.00833345191,.0416657959,.166666655,.5)*r*r+r'],
  exp: ['t', 'scaled(small(rest(t))+1,exponent(t))'],
  expm1: ['t', 'scaled(small(rest(t)),exponent(t))+(scaled(1,exponent(t))-1)'],
  // Numbers below 2⁻¹²⁶ have no full mantissa: times 2²⁵ first. √½ = 0x3f3504f3.
  normal: ['t', 't<1.17549435e-38 ? t*33554432 : t'],
  bits: ['t', 'iadd(normal(t),#4913933)'],
  twosOf: ['t', 'toFloat(isub(right(bits(t),#23),#127))-(t<1.17549435e-38 ? 25 : 0)'],
  fraction: ['t', 'iadd(iand(bits(t),#8388607),#1060439283)-1'],
  ratio: ['m', 'm/(2+m)'],
  series: ['m,z', '.5*m*m+z*poly(z,.242790788,.284987867,.400009722,.666666627)'],
  lnOf: ['t,k,m', 'k*.693138123+(m-(.5*m*m-(ratio(m)*series(m,ratio(m)*ratio(m))+k*9.05800061e-6)))'],
  log: ['t', 't>0 ? (t<1/0 ? lnOf(t,twosOf(t),fraction(t)) : t) : t==0 ? -1/0 : 0/0'],
  // ln(1 + y) = 2·artanh s = 2(s + s³/3 + s⁵/5 + …), s = y/(2 + y), for 0 ≤ y ≤ 1.
  artanh2: ['s', 's*poly(s*s,2/15,2/13,2/11,2/9,2/7,2/5,2/3,2)'],
  softplusOf: ['t,y', 'max(t,0)+artanh2(y/(2+y))'],
  softplus: ['t', 'softplusOf(t,exp(-abs(t)))'],
  sigmoid: ['t', '1/(1+exp(-t))'],
  tanhOf: ['t,u', 't<0 ? u/(u+2) : -u/(u+2)'],
  tanh: ['t', 'tanhOf(t,expm1(-2*abs(t)))'],
  sech2Of: ['e', '4*e/((1+e)*(1+e))'],
  // 1 − tanh²
  sech2: ['t', 'sech2Of(exp(-2*abs(t)))'],
  // tanh(softplus t) = w/(w + 2), w = eᵗ(eᵗ + 2), and 1 − its square.
  mishOf: ['e', 'e*(e+2)'],
  mishW: ['t', 'mishOf(exp(min(t,30)))'],
  mishTanh: ['t', 'mishW(t)/(mishW(t)+2)'],
  mishSech2: ['t', '4*(mishW(t)+1)/((mishW(t)+2)*(mishW(t)+2))'],
  erfcx: ['u', 'u*poly(u,.06807757,-.36630958,.63081053,-.31907629,.37605825,.15100281,.23432133,.22511529)'],
  // For t ≥ 0.
  erfc: ['t', 'exp(-(t*t))*erfcx(1/(1+.4*t))'],
  erf: [
    't',
    'abs(t)<.5 ? t*poly(t*t,.00471798,-.02675718,.11282823,-.37612609,1.12837917) : sign(t)*(1-erfc(abs(t)))',
  ],
  // Normal density and distribution.
  density: ['t', '.3989422804*exp(-.5*t*t)'],
  tail: ['t', '.5*erfc(.7071067812*abs(t))'],
  normalOf: ['t', 't<0 ? tail(t) : 1-tail(t)'],
};
