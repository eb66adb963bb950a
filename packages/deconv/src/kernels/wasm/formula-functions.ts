/**
 * formula-functions: what formulas can say: operators and functions that are one instruction, and functions written in
 * formulas themselves, as far as convolutions need them. Rarer ones come with the formulas that use them (loops/formulas.ts).
 *
 * Where the mathematics comes from: eˣ = 2ⁿ·eʳ with r = x − n·ln 2, |r| ≤ ln 2 / 2, by a polynomial (Cephes' expf). NaN and
 * infinities come out as in float64.
 */
import { isVectorName, type VectorName } from './assembler.js';

/** Binary operators by binding strength, loosest first: the instructions of floats that they are. */
export const LEVELS: readonly Readonly<Record<string, string>>[] = [
  { '<': 'lt', '>': 'gt', '<=': 'le', '>=': 'ge', '==': 'eq' },
  { '+': 'add', '-': 'sub' },
  { '*': 'mul', '/': 'div' },
];

const OPERATORS: Readonly<Record<string, string>> = Object.assign({}, ...LEVELS);

/** What is not an instruction of floats, or goes by another name. */
const OTHERS: Readonly<Record<string, string>> = {
  '?': 'v128.bitselect',
  iadd: 'i32x4.add',
  iand: 'v128.and',
  isub: 'i32x4.sub',
  left: 'i32x4.shl',
  right: 'i32x4.shr_s',
  toFloat: 'f32x4.convert_i32x4_s',
};

/** The instruction that an operator or a function is, if it is one; those of floats go by their own names: `abs`, `pmin`. */
export function instructionOf(name: string): VectorName | undefined {
  const instruction = OTHERS[name] ?? `f32x4.${OPERATORS[name] ?? name}`;
  return isVectorName(instruction) ? instruction : undefined;
}

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
