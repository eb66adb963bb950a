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
  const place = [ground.at(output), 0] as const;
  // The bias has been added; at address 0 there are zeros.
  const operands = [place, [0, 0]] as const;
  const formula = ACTIVATIONS[activation.fn];
  ground.kernels.apply(formula, 'xb', '10', place, 1, output.length, operands, activation.parameters);
  return output;
};
