/**
 * activations: f applied in place to what a matrix product has just made, while it is in the cache: the fused epilogue of
 * the convolutions. Bias first, then the function.
 *
 * The exponential is the usual one: eˣ = 2ⁿ·eʳ with n = round(x / ln 2) and |r| ≤ ln 2 / 2, ln 2 taken off in two parts so
 * that r is exact, eʳ by a polynomial (coefficients of the Cephes library's expf, tanhf). Error below 2 units in the last
 * place. NaN goes through every function.
 */
import type { FunctionBuilder, Local } from './assembler.js';

/** Numbers by which the `activate` command knows the functions. */
export const ACTIVATION = { none: 0, leakyRelu: 1, clamp: 2, sigmoid: 3, tanh: 4 } as const;

const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444e-4;
const EXP = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
];
const TANH = [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1];
/** Below this |x| tanh is its own polynomial: 1 − 2/(e²ˣ + 1) would cancel. */
const TANH_SMALL = 0.625;

/** Horner's rule: leaves c₀xⁿ + c₁xⁿ⁻¹ + … on the stack. */
function polynomial(f: FunctionBuilder, x: Local, coefficients: readonly number[]): void {
  const [first, ...rest] = coefficients;
  f.splat(first);
  for (const c of rest) f.get(x).op('f32x4.mul').splat(c).op('f32x4.add');
}

/** x ← eˣ, in place; `n` and `r` are scratch. */
function exponential(f: FunctionBuilder, x: Local, n: Local, r: Local): void {
  // Beyond these ends eˣ is not a normal number any more.
  f.get(x).splat(-87).op('f32x4.max').splat(88).op('f32x4.min').set(x);
  f.get(x).splat(Math.LOG2E).op('f32x4.mul').op('f32x4.nearest').set(n);
  f.get(x).get(n).splat(LN2_HIGH).op('f32x4.mul').op('f32x4.sub');
  f.get(n).splat(LN2_LOW).op('f32x4.mul').op('f32x4.sub').set(r);
  polynomial(f, r, EXP);
  f.get(r).op('f32x4.mul').get(r).op('f32x4.mul').get(r).op('f32x4.add').splat(1).op('f32x4.add');
  // 2ⁿ: n added to the exponent's bits.
  f.get(n)
    .op('i32x4.trunc_sat_f32x4_s')
    .integers(127)
    .op('i32x4.add')
    .i32(23)
    .op('i32x4.shl')
    .op('f32x4.mul');
  f.set(x);
}

/**
 * activate: c, n1, c1, bias, bias1, count, which, p0, p1.
 * For n1 rows, c1 bytes apart: `count` floats ← f(c + bias), where each row has one bias, `bias1` bytes on from the last.
 * p0 and p1 are the bits of the function's parameters: the slope of leakyRelu, the ends of clamp.
 */
export function activate(f: FunctionBuilder, p: readonly Local[]): void {
  const [c, n1, c1, bias, bias1, count, which, p0, p1] = p;
  const [at, left] = [f.local('i32'), f.local('i32')];
  const [add, first, second, x, n, r, y] = Array.from({ length: 7 }, () => f.local('v128'));
  const row = (number: number, body: () => void) => {
    f.get(which).i32(number).op('i32.eq');
    f.if(() => {
      f.countdown(left, 1, () => {
        f.get(at).access('v128.load').get(add).op('f32x4.add').set(x);
        body();
        f.get(at).get(x).access('v128.store').add(at, 16);
      });
    });
  };
  f.get(p0).op('f32.reinterpret_i32').op('f32x4.splat').set(first);
  f.get(p1).op('f32.reinterpret_i32').op('f32x4.splat').set(second);
  f.countdown(n1, 1, () => {
    f.get(c).set(at).get(bias).access('f32.load').op('f32x4.splat').set(add);
    // Whole vectors: the rows of the result buffer are padded.
    f.get(count).i32(3).op('i32.add').i32(2).op('i32.shr_u').set(left);
    row(ACTIVATION.leakyRelu, () => {
      f.get(x).get(first).op('f32x4.mul').get(x).get(x).splat(0).op('f32x4.lt').op('v128.bitselect').set(x);
    });
    row(ACTIVATION.clamp, () => f.get(x).get(first).op('f32x4.max').get(second).op('f32x4.min').set(x));
    row(ACTIVATION.sigmoid, () => {
      f.get(x).op('f32x4.neg').set(x);
      exponential(f, x, n, r);
      f.splat(1).get(x).splat(1).op('f32x4.add').op('f32x4.div').set(x);
    });
    row(ACTIVATION.tanh, () => {
      f.get(x).set(y).get(x).get(x).op('f32x4.add').set(x);
      exponential(f, x, n, r);
      f.splat(1).splat(2).get(x).splat(1).op('f32x4.add').op('f32x4.div').op('f32x4.sub').set(x);
      f.get(y).get(y).op('f32x4.mul').set(r);
      polynomial(f, r, TANH);
      f.get(r).op('f32x4.mul').get(y).op('f32x4.mul').get(y).op('f32x4.add').set(r);
      f.get(r).get(x).get(y).op('f32x4.abs').splat(TANH_SMALL).op('f32x4.lt').op('v128.bitselect').set(x);
    });
    f.add(c, c1).add(bias, bias1);
  });
}
