/**
 * activation: the function at the end of a convolution: read from the options, and differentiated through its *output*,
 * since a fused convolution never keeps what went in.
 */
import type { Activation } from '../backend.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { greater, leakyReluSlope, mul, sub } from './elementwise.js';

/** The functions, and the numbers that belong to each where none are given. */
const FORMS = {
  relu: {},
  leakyRelu: { slope: 0.01 },
  clamp: { min: 0, max: 1 },
  sigmoid: {},
  tanh: {},
} as const;

/** A function by name, with its numbers if it has any. */
export interface ActivationForm {
  readonly name: keyof typeof FORMS;
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
  const { name } = given;
  checkName(op, 'activation', name, Object.keys(FORMS));
  const standard: Readonly<Record<string, number>> = FORMS[name];
  const known = Object.keys(standard) as ('slope' | 'min' | 'max')[];
  checkOptions(op, given, ['name', ...known]);
  const parameters = known.map((argument) => number(op, argument, given[argument] ?? standard[argument]));
  const [p, q] = parameters;
  // The sign of the output must tell that of the input, or the gradient could not be found.
  if (name === 'leakyRelu' && p < 0)
    refuse(op, 'activation', `activation slope must be ≥ 0, got ${p}`, 'leakyRelu(x, slope) takes any');
  if (name === 'clamp' && p > q) refuse(op, 'activation', `activation min ${p} must be ≤ max ${q}`);
  return name === 'relu'
    ? { fn: 'clamp', parameters: [0, Number.POSITIVE_INFINITY] }
    : { fn: name, parameters };
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
