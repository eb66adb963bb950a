/**
 * averaged: transposed convolutions whose overlaps are averaged and then go through an activation. The products are
 * activated while they lie in the cache, which is before they are averaged; so here the function comes in a pass of its own.
 */
import type { OpTable } from '../../../backend.js';
import { ACTIVATIONS } from '../activations.js';
import { convInputGrad as plain } from './conv.js';
import type { Loop } from './ground.js';

/** (y, w[, bias]) → the transposed convolution, with everything that its attributes ask for. */
export const convInputGrad: Loop<OpTable['conv.inputGrad']> = (ground, inputs, attributes) => {
  const { average, activation } = attributes;
  if (!average || activation === undefined) return plain(ground, inputs, attributes);
  const output = plain(ground, inputs, { ...attributes, activation: undefined });
  if (output === undefined) return undefined;
  const formula = ACTIVATIONS[activation.fn].replaceAll('x+b', 'x');
  const place = [ground.at(output), 0] as const;
  ground.kernels.apply(formula, 'x', '1', place, 1, output.length, [place], activation.parameters);
  return output;
};
