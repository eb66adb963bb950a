/**
 * activations: f applied in place to what a matrix product has just made, while it is in the cache: the fused epilogue of
 * the convolutions. Bias first, then the function. A command per function.
 */
import { type Build, set } from './assembler.js';
import { buildFormula } from './formula.js';
import * as wasm from './opcodes.js';

/** A function by its name as a command, with its numbers, of which there are at most two. */
export interface Ending {
  readonly fn: string;
  readonly parameters: readonly number[];
}

/** The functions by name, in x, the bias b and the parameters p and q. NaN goes through every one. Fusions know more (fusion.ts). */
export const ACTIVATIONS: Readonly<Record<string, string>> = {
  leakyRelu: 'x+b>0 ? x+b : p*(x+b)',
  clamp: 'min(q,max(p,x+b))',
  sigmoid: 'sigmoid(x+b)',
  tanh: 'tanh(x+b)',
};

/**
 * c, n1, c1, bias, bias1, count, p, q.
 * For n1 rows, c1 bytes apart: `count` floats ← f(c + bias), where each row has one bias, `bias1` bytes on from the last. p and q
 * are the bits of the function's parameters: the slope of leakyRelu, the ends of clamp.
 */
export const activate =
  (formula: string): Build =>
  (locals, [c, n1, c1, bias, bias1, count, pBits, qBits]) => {
    const [from] = locals(1);
    const [p, q] = locals(2, wasm.f32);
    return [
      set(from, c),
      [set(p, pBits, wasm.f32ReinterpretI32), set(q, qBits, wasm.f32ReinterpretI32)],
      buildFormula(formula, 'xb', '10')(locals, [c, c1, n1, count, from, c1, bias, bias1, p, q]),
    ];
  };
