/**
 * formula-functions: what formulas can say: operators and functions that are one instruction, and functions written in
 * formulas themselves, as far as convolutions need them. Rarer ones come with the formulas that use them (loops/formulas.ts).
 *
 * Where the mathematics comes from: eˣ = 2ⁿ·eʳ with r = x − n·ln 2, |r| ≤ ln 2 / 2, by a polynomial (Cephes' expf). NaN and
 * infinities come out as in float64.
 */
import * as wasm from './opcodes.js';

/** Binary operators by binding strength, loosest first: the instructions that they are. */
export const LEVELS: readonly Readonly<Record<string, number>>[] = [
  { '<': wasm.f32x4Lt, '>': wasm.f32x4Gt, '<=': wasm.f32x4Le, '>=': wasm.f32x4Ge, '==': wasm.f32x4Eq },
  { '+': wasm.f32x4Add, '-': wasm.f32x4Sub },
  { '*': wasm.f32x4Mul, '/': wasm.f32x4Div },
];

/** All that is one instruction, operators and functions: of floats, then of integers. */
export const INSTRUCTIONS: Readonly<Record<string, number>> = Object.assign(
  {
    '?': wasm.v128Bitselect,
    abs: wasm.f32x4Abs,
    ceil: wasm.f32x4Ceil,
    floor: wasm.f32x4Floor,
    max: wasm.f32x4Max,
    min: wasm.f32x4Min,
    neg: wasm.f32x4Neg,
    pmax: wasm.f32x4Pmax,
    pmin: wasm.f32x4Pmin,
    sqrt: wasm.f32x4Sqrt,
    iadd: wasm.i32x4Add,
    iand: wasm.v128And,
    isub: wasm.i32x4Sub,
    left: wasm.i32x4Shl,
    right: wasm.i32x4ShrS,
    toFloat: wasm.f32x4ConvertI32x4S,
  },
  ...LEVELS,
);

/** Functions written in the language, as they would stand in front of a formula. */
export const DEFINITIONS =
  'power2(i)=left(iadd(i,#127),#23);' +
  // v·2ⁿ in two steps: 2ⁿ alone may be too large or too small for a float.
  'scaled(v,i)=v*power2(right(i,#1))*power2(isub(i,right(i,#1)));' +
  // Beyond these ends eˣ is 0 or infinite. Of a NaN and a number pmax and pmin take the first.
  'ends(t)=pmin(pmax(t,-104),89);' +
  // x / ln 2 + 3·2²²: the low bits are the nearest integer, beside those of 3·2²² (0x4b400000).
  'shifted(t)=ends(t)*1.442695041+12582912;' +
  'twos(t)=shifted(t)-12582912;' +
  'exponent(t)=isub(shifted(t),#1262485504);' +
  'rest(t)=ends(t)-twos(t)*.693359375+twos(t)*2.1219444e-4;' +
  // eʳ − 1
  'small(r)=poly(r,1.98756915e-4,.00139819995,.00833345191,.0416657959,.166666655,.5)*r*r+r;' +
  'exp(t)=scaled(small(rest(t))+1,exponent(t));' +
  'expm1(t)=scaled(small(rest(t)),exponent(t))+(scaled(1,exponent(t))-1);' +
  'sigmoid(t)=1/(1+exp(-t));' +
  'tanhOf(t,u)=t<0 ? u/(u+2) : -u/(u+2);' +
  'tanh(t)=tanhOf(t,expm1(-2*abs(t)));';
