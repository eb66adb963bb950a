/**
 * Convolutions that networks have been fused into: with a function before them, inputs that would have been joined, a term
 * added to their outputs, and activations that have slopes per channel or bring their kernels along.
 */
import type { FusedActivation, FusedConvAttributes } from '../../backend.js';
import { ACTIVATIONS, type Ending, forward, inputGrad } from './conv.js';

type Values = ArrayLike<number>;

/** What it does to a number. */
function functionOf(activation: FusedActivation) {
  if (activation.fn === 'own') return activation.own.reference[0];
  return ACTIVATIONS[activation.fn === 'prelu' ? 'leakyRelu' : activation.fn];
}

/** Bias and residual added, activation applied. */
function ending(inputs: readonly Values[], { bias, activation, residual }: FusedConvAttributes): Ending {
  const last = inputs[inputs.length - 1];
  const f = activation && functionOf(activation);
  return (sum, channel, at) => {
    const value = sum + ((bias ? inputs[2][channel] : 0) + (residual ? last[at] : 0));
    return f ? f(value, activation.fn === 'prelu' ? [last[channel]] : activation.parameters) : value;
  };
}

/** The data after what it goes through first. */
function through(x: Values, { before }: FusedConvAttributes): Values {
  return before === undefined
    ? x
    : Float64Array.from(x, (value) => functionOf(before)(value, before.parameters));
}

/** Two inputs of so many pictures as one: of each picture the channels of one, then of the other. */
function joined(a: Values, b: Values, batch: number): Float64Array {
  const [each, more] = [a.length / batch, b.length / batch];
  const x = new Float64Array(a.length + b.length);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < each; i++) x[n * (each + more) + i] = a[n * each + i];
    for (let i = 0; i < more; i++) x[n * (each + more) + each + i] = b[n * more + i];
  }
  return x;
}

/** (x, w, bias?, slopes or residual?, more channels of x?) → y */
export function convForwardFused(given: readonly Values[], attributes: FusedConvAttributes): Float64Array {
  const { geometry, split } = attributes;
  const inputs = split === undefined ? given : given.slice(0, -1);
  const [first, w] = inputs;
  const x = split === undefined ? first : joined(first, given[given.length - 1], geometry.batch);
  return forward(through(x, attributes), w, attributes, ending(inputs, attributes));
}

/** (y, w, bias?, slopes or residual?) → x */
export function convInputGradFused(inputs: readonly Values[], attributes: FusedConvAttributes): Float64Array {
  const [y, w] = inputs;
  return inputGrad(through(y, attributes), w, attributes, ending(inputs, attributes));
}
