/**
 * activations: f applied in place to what a matrix product has just made, while it is in the cache: the fused epilogue of
 * the convolutions. Bias first, then the function. A command per function.
 */

import type { Activation, UnaryFunction } from '../../backend.js';
import { type Build, i32, set } from './assembler.js';
import { buildFormula } from './formula.js';
import * as wasm from './opcodes.js';

/** What each function is called as a command, and its formula. */
export function formulaOf(activation: Activation): readonly [name: string, formula: string] {
  if (activation.fn !== 'own') return [activation.fn, ACTIVATIONS[activation.fn]];
  const own: UnaryFunction & { readonly wasm?: unknown } = activation.own;
  // Definitions stay in front.
  const [text] = own.wasm as readonly string[];
  return [own.name, text.replace(/[^;]+$/, 'own(x)=$&;own(x+b)')];
}

/** The functions by name, in x, the bias b, the slope w and the parameters p and q. NaN goes through every one. */
export const ACTIVATIONS = {
  leakyRelu: 'x+b>0 ? x+b : p*(x+b)',
  clamp: 'min(q,max(p,x+b))',
  sigmoid: 'sigmoid(x+b)',
  tanh: 'tanh(x+b)',
  prelu: 'x+b>0 ? x+b : w*(x+b)',
} as const;

/**
 * c, n1, c1, bias, bias1, count, p, q, slope.
 * For n1 rows, c1 bytes apart: `count` floats ← f(c + bias), where each row has one bias, `bias1` bytes on from the last, and
 * one slope, a float on. p and q are the bits of the function's parameters: the slope of leakyRelu, the ends of clamp.
 */
export const activate =
  (formula: string): Build =>
  (locals, [c, n1, c1, bias, bias1, count, pBits, qBits, slope]) => {
    const [from] = locals(1);
    const [p, q] = locals(2, wasm.f32);
    const perRow = formula.includes('w');
    const slopes = perRow ? [slope, ...locals(1)] : [];
    const inputs = [from, c1, bias, bias1, ...slopes];
    return [
      set(from, c),
      [set(p, pBits, wasm.f32ReinterpretI32), set(q, qBits, wasm.f32ReinterpretI32)],
      perRow ? set(slopes[1], i32(4)) : [],
      buildFormula(formula, perRow ? 'xbw' : 'xb', '100')(locals, [c, c1, n1, count, ...inputs, p, q]),
    ];
  };
