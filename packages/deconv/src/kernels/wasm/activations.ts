/**
 * activations: f applied in place to what a matrix product has just made, while it is in the cache: the fused epilogue of
 * the convolutions. Bias first, then the function. A command per function.
 */
import type { FunctionBuilder, Local } from './assembler.js';
import { buildFormula } from './formula.js';

/** The functions by name, in x, the bias b and the parameters p and q. NaN goes through every one. */
export const ACTIVATIONS = {
  leakyRelu: 'x+b>0 ? x+b : p*(x+b)',
  clamp: 'min(q,max(p,x+b))',
  sigmoid: 'sigmoid(x+b)',
  tanh: 'tanh(x+b)',
} as const;

/**
 * c, n1, c1, bias, bias1, count, p, q.
 * For n1 rows, c1 bytes apart: `count` floats ← f(c + bias), where each row has one bias, `bias1` bytes on from the last.
 * p and q are the bits of the function's parameters: the slope of leakyRelu, the ends of clamp.
 */
export function activate(f: FunctionBuilder, arguments_: readonly Local[], formula: string): void {
  const [c, n1, c1, bias, bias1, count, pBits, qBits] = arguments_;
  const from = f.local('i32');
  const [p, q] = [f.local('f32'), f.local('f32')];
  f.get(c).set(from);
  f.get(pBits).op('f32.reinterpret_i32').set(p);
  f.get(qBits).op('f32.reinterpret_i32').set(q);
  buildFormula(f, [c, c1, n1, count, from, c1, bias, bias1, p, q], formula, ['x', 'b'], '10');
}
