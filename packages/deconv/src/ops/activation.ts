/**
 * activation: the function at the end of a convolution: read from the options, and differentiated through its *output*,
 * since a fused convolution never keeps what went in.
 */
import type { Activation } from '../backend.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { greater, leakyReluSlope, mul, sub } from './elementwise.js';

const NAMES = ['relu', 'leakyRelu', 'clamp', 'sigmoid', 'tanh'] as const;

/** A function by name, with its numbers if it has any. */
export interface ActivationForm {
  readonly name: (typeof NAMES)[number];
  /** leakyRelu: factor of negative values, ≥ 0. Default 0.01. */
  readonly slope?: number | undefined;
  /** clamp: lower end. Default 0. */
  readonly min?: number | undefined;
  /** clamp: upper end. Default 1. */
  readonly max?: number | undefined;
}

/** An activation: a name, or a name with numbers. */
export type ActivationOption = ActivationForm['name'] | ActivationForm;

function number(op: string, argument: string, value: number): number {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    refuse(op, 'activation', `activation ${argument} must be a number, got ${show(value)}`);
  }
  return value;
}

/** The option as backends take it. */
export function readActivation(op: string, option: ActivationOption | undefined): Activation | undefined {
  if (option === undefined) return undefined;
  const given: ActivationForm = typeof option === 'string' ? { name: option } : option;
  checkOptions(op, given, ['name', 'slope', 'min', 'max']);
  checkName(op, 'activation', given.name, NAMES);
  const known = { relu: [], leakyRelu: ['slope'], clamp: ['min', 'max'], sigmoid: [], tanh: [] }[given.name];
  checkOptions(op, given, ['name', ...known]);
  if (given.name === 'leakyRelu') {
    const slope = number(op, 'slope', given.slope ?? 0.01);
    // The sign of the output must tell that of the input, or the gradient could not be found.
    if (slope < 0)
      refuse(op, 'activation', `activation slope must be ≥ 0, got ${slope}`, 'leakyRelu(x, slope) takes any');
    return { fn: 'leakyRelu', parameters: [slope] };
  }
  if (given.name === 'clamp') {
    const [min, max] = [number(op, 'min', given.min ?? 0), number(op, 'max', given.max ?? 1)];
    if (min > max) refuse(op, 'activation', `activation min ${min} must be ≤ max ${max}`);
    return { fn: 'clamp', parameters: [min, max] };
  }
  if (given.name === 'relu') return { fn: 'clamp', parameters: [0, Number.POSITIVE_INFINITY] };
  return { fn: given.name, parameters: [] };
}

/** g · f′ written in the output y = f(x): σ′ = y(1 − y), tanh′ = 1 − y², and 1 inside, 0 at and beyond the ends of clamp. */
export function throughActivation(g: Tensor, y: Tensor, { fn, parameters: [p, q] }: Activation): Tensor {
  if (fn === 'leakyRelu') return mul(g, leakyReluSlope(y, p));
  if (fn === 'clamp') {
    const above = greater(y, p);
    return mul(g, q === Number.POSITIVE_INFINITY ? above : mul(above, greater(q, y)));
  }
  return mul(g, fn === 'sigmoid' ? mul(y, sub(1, y)) : sub(1, mul(y, y)));
}
