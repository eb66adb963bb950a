/**
 * activation: the function at the end of a convolution: read from the options, and differentiated through its *output*,
 * since a fused convolution never keeps what went in.
 */
import type { Activation } from '../backend.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { binary, difference, product } from './arithmetic.js';
import { number } from './input.js';

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

function readNumber(op: string, argument: string, value: number): number {
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
  const parameters = known.map((argument) => readNumber(op, argument, given[argument] ?? standard[argument]));
  const [p, q] = parameters;
  // The sign of the output must tell that of the input, or the gradient could not be found.
  if (name === 'leakyRelu' && p < 0)
    refuse(op, 'activation', `activation slope must be ≥ 0, got ${p}`, 'leakyRelu(x, slope) takes any');
  if (name === 'clamp' && p > q) refuse(op, 'activation', `activation min ${p} must be ≤ max ${q}`);
  return name === 'relu'
    ? { fn: 'clamp', parameters: [0, Number.POSITIVE_INFINITY] }
    : { fn: name, parameters };
}

/** g · f′ written in the output y = f(x). */
export function throughActivation(g: Tensor, y: Tensor, activation: Activation): Tensor {
  return product(g, derivative(y, activation));
}

/** f′: σ′ = y(1 − y), tanh′ = 1 − y²; 1 inside, 0 at and beyond the ends of clamp; 1 where y > 0, else the slope, of leakyRelu. */
function derivative(y: Tensor, { fn, parameters: [p, q] }: Activation): Tensor {
  const like = (value: number) => number(value, y.dtype);
  const above = (value: number) => binary('greater', y, like(value));
  if (fn === 'leakyRelu') {
    // The larger of two, of which the one that is not wanted is 0.
    return p <= 1
      ? binary('maximum', above(0), like(p))
      : binary('maximum', product(binary('greaterEqual', like(0), y), like(p)), like(1));
  }
  if (fn === 'clamp')
    return q === Number.POSITIVE_INFINITY ? above(p) : product(above(p), binary('greater', like(q), y));
  return fn === 'sigmoid' ? product(y, difference(like(1), y)) : difference(like(1), product(y, y));
}
