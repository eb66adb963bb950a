/**
 * groups: what optimisers are given: tensors, or groups of them, with options that hold for all or for one group. Read
 * once into groups that know the arithmetic of their step.
 *
 * Refuses: an empty list, a tensor twice, results and integers as parameters, a list of which nothing requires a
 * gradient, lr that is not a positive finite number, unknown options.
 */
import { checkOptions, refuse, show } from '../errors.js';
import { showShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import type { Rule } from '../updates.js';

/** What all optimisers take. */
export interface OptimizerOptions {
  /** Learning rate, > 0: the size of a step. */
  readonly lr?: number | undefined;
  /** Adds weightDecay·value to each gradient (L2 penalty). ≥ 0. Default 0. */
  readonly weightDecay?: number | undefined;
}

/**
 * What an optimiser moves: tensors, or groups of them with options of their own. What a group leaves out is as in the
 * options of the optimiser.
 */
export type Parameters<O extends OptimizerOptions> =
  | readonly Tensor[]
  | readonly (Partial<O> & { readonly parameters: readonly Tensor[] })[];

/** Tensors that are moved with the same options. */
export interface ParameterGroup {
  readonly parameters: readonly Tensor[];
  /** Learning rate, ≥ 0; may be set between steps. */
  lr: number;
}

/** Refuses a number outside [least, below). */
export function readNumber(op: string, name: string, value: unknown, least = 0, below = Infinity): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least && value < below) return value;
  const bound = below === Infinity ? `≥ ${least}` : `in [${least}, ${below})`;
  return refuse(op, name, `${name} must be a number ${bound}, got ${show(value)}`);
}

/** Refuses anything but a finite number above 0. */
export function readPositive(op: string, name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  return refuse(op, name, `${name} must be a number > 0, got ${show(value)}`);
}

/** A rule with its options. */
export interface Update {
  readonly rule: Rule;
  /** Names of the arrays it remembers per parameter, zero at first. */
  readonly memories: readonly string[];
  /** The numbers of the rule at this learning rate, in the step of this number, from 1. */
  readonly numbers: (lr: number, step: number) => readonly number[];
}

/** What an optimiser tells the common part about itself. */
export interface Kind<O extends OptimizerOptions> {
  readonly name: string;
  /** Options it has beside lr and weightDecay. */
  readonly options: readonly string[];
  /** Learning rate where none is given; undefined: it must be. */
  readonly lr?: number;
  /** Checks the options of a group. */
  readonly update: (op: string, options: Partial<O>) => Update;
}

/** A group of parameters with the arithmetic of its step. */
export class Group implements ParameterGroup {
  readonly parameters: readonly Tensor[];
  readonly update: Update;
  readonly #op: string;
  #lr: number;

  constructor(op: string, parameters: readonly Tensor[], lr: unknown, update: Update) {
    this.#op = op;
    this.parameters = parameters;
    this.update = update;
    this.#lr = readPositive(op, 'lr', lr);
  }

  get lr(): number {
    return this.#lr;
  }

  set lr(lr: number) {
    this.#lr = readNumber(this.#op, 'lr', lr);
  }
}

function checkParameters(op: string, parameters: readonly unknown[], names: readonly string[]): void {
  const first = new Map<unknown, string>();
  for (const [i, p] of parameters.entries()) {
    const name = names[i];
    if (!(p instanceof Tensor)) refuse(op, 'parameters', `${name} must be a tensor, got ${show(p)}`);
    if (!p.isLeaf) {
      refuse(
        op,
        'parameters',
        `${name} ${showShape(p.shape)} is a result, only leaves can be moved`,
        'pass the tensor it was computed from',
      );
    }
    if (p.dtype !== 'float32' && p.dtype !== 'float64')
      refuse(op, 'parameters', `${name} must be float32 or float64, got ${p.dtype}`);
    const before = first.get(p);
    if (before !== undefined) refuse(op, 'parameters', `${name} is ${before} again`);
    first.set(p, name);
  }
  if (!parameters.some((p) => p instanceof Tensor && p.requiresGrad)) {
    refuse(
      op,
      'parameters',
      'no parameter requires a gradient, none would ever move',
      'tensor(values, { requiresGrad: true })',
    );
  }
}

/** The groups that an optimiser of this kind makes of what it is given. */
export function readGroups<O extends OptimizerOptions>(
  kind: Kind<O>,
  given: Parameters<O>,
  options: Partial<O>,
): readonly Group[] {
  const op = kind.name;
  const known = ['lr', 'weightDecay', ...kind.options];
  checkOptions(op, options, known);
  if (!Array.isArray(given) || given.length === 0)
    refuse(op, 'parameters', `parameters must be a non-empty array of tensors, got ${show(given)}`);
  const isGroup = (entry: unknown): entry is Partial<O> & { readonly parameters: readonly Tensor[] } =>
    entry !== null && typeof entry === 'object' && 'parameters' in entry;
  const entries: readonly unknown[] = given;
  const grouped = entries.every(isGroup);
  const names = (list: readonly unknown[], at: string) => list.map((_, i) => `${at}[${i}]`);
  if (!grouped) {
    checkParameters(op, entries, names(entries, 'parameters'));
    const list = Object.freeze([...(given as readonly Tensor[])]);
    return [new Group(op, list, options.lr === undefined ? kind.lr : options.lr, kind.update(op, options))];
  }
  for (const [i, group] of entries.entries()) {
    checkOptions(`${op}: parameters[${i}]`, group, ['parameters', ...known]);
    if (!Array.isArray(group.parameters) || group.parameters.length === 0) {
      const got = show(group.parameters);
      refuse(
        op,
        'parameters',
        `parameters[${i}].parameters must be a non-empty array of tensors, got ${got}`,
      );
    }
  }
  checkParameters(
    op,
    entries.flatMap(({ parameters }) => parameters),
    entries.flatMap(({ parameters }, i) => names(parameters, `parameters[${i}].parameters`)),
  );
  return entries.map((group, i) => {
    const own = Object.entries(group).filter(([, value]) => value !== undefined);
    const merged: Partial<O> = { ...options, ...Object.fromEntries(own) };
    const at = `${op}: parameters[${i}]`;
    const list = Object.freeze([...group.parameters]);
    return new Group(at, list, merged.lr === undefined ? kind.lr : merged.lr, kind.update(at, merged));
  });
}
