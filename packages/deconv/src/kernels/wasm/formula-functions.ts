/**
 * formula-functions: what formulas can say: operators and functions that are one instruction, and functions written in
 * formulas themselves, as far as convolutions need them. Rarer ones come with the formulas that use them (loops/formulas.ts).
 *
 * Where the mathematics comes from: eˣ = 2ⁿ·eʳ with r = x − n·ln 2, |r| ≤ ln 2 / 2, by a polynomial (Cephes' expf). NaN and
 * infinities come out as in float64.
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
  sigmoid: ['t', '1/(1+exp(-t))'],
  tanhOf: ['t,u', 't<0 ? u/(u+2) : -u/(u+2)'],
  tanh: ['t', 'tanhOf(t,expm1(-2*abs(t)))'],
  sech2Of: ['e', '4*e/((1+e)*(1+e))'],
  // 1 − tanh²
  sech2: ['t', 'sech2Of(exp(-2*abs(t)))'],
};
