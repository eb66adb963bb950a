/**
 * optimizer: what all optimisers share: which tensors they move, when they skip one, and how new values are put in. A
 * rule (sgd.ts, adam.ts …) is a loop over plain numbers; nothing here is recorded on the tape.
 *
 * Refuses: an empty list, a tensor twice, results and integers as parameters, a list of which nothing requires a
 * gradient, lr that is not a positive finite number, unknown options.
 */
import { noGrad } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { showShape } from '../shape.js';
import { allocate, Tensor, type TypedArray } from '../tensor.js';

/** What all optimisers take. */
export interface OptimizerOptions {
  /** Learning rate, > 0: the size of a step. */
  readonly lr?: number | undefined;
  /** Adds weightDecay·value to each gradient (L2 penalty). ≥ 0. Default 0. */
  readonly weightDecay?: number | undefined;
}

/** What a rule remembers of one parameter between steps: arrays of its size, zero at first. */
export interface Memory {
  /** Steps made, this one included. */
  step: number;
  readonly arrays: readonly TypedArray[];
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

function readParameters(op: string, parameters: unknown): readonly Tensor[] {
  if (!Array.isArray(parameters) || parameters.length === 0)
    refuse(op, 'parameters', `parameters must be a non-empty array of tensors, got ${show(parameters)}`);
  for (const [i, p] of parameters.entries()) {
    const name = `parameters[${i}]`;
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
    if (parameters.indexOf(p) !== i)
      refuse(op, 'parameters', `${name} is parameters[${parameters.indexOf(p)}] again`);
  }
  if (!parameters.some((p: Tensor) => p.requiresGrad)) {
    refuse(
      op,
      'parameters',
      'no parameter requires a gradient, none would ever move',
      'tensor(values, { requiresGrad: true })',
    );
  }
  return Object.freeze([...parameters]);
}

/** What a rule tells the common part about itself. */
export interface Rule {
  readonly name: string;
  /** Options it has beside lr and weightDecay. */
  readonly options: readonly string[];
  /** How many arrays it remembers per parameter. */
  readonly arrays: number;
  /** Learning rate where none is given; undefined: it must be. */
  readonly lr?: number;
}

/** The common part of all optimisers. Parameters without a gradient are skipped, and forget nothing. */
export abstract class Optimizer {
  /** The tensors that {@link step} moves. */
  readonly parameters: readonly Tensor[];
  readonly #rule: Rule;
  readonly #memories = new Map<Tensor, Memory>();
  #lr: number;

  /** @internal */
  protected constructor(rule: Rule, parameters: readonly Tensor[], options: OptimizerOptions | undefined) {
    checkOptions(rule.name, options, ['lr', 'weightDecay', ...rule.options]);
    this.#rule = rule;
    this.parameters = readParameters(rule.name, parameters);
    this.#lr = readPositive(rule.name, 'lr', options?.lr === undefined ? rule.lr : options.lr);
  }

  /** Learning rate; may be set between steps. */
  get lr(): number {
    return this.#lr;
  }

  set lr(lr: number) {
    this.#lr = readPositive(this.#rule.name, 'lr', lr);
  }

  /** Moves every parameter that has a gradient by one step. */
  step(): void {
    noGrad(() => {
      for (const parameter of this.parameters) {
        const { grad, dtype } = parameter;
        if (grad === null) continue;
        const memory = this.#memories.get(parameter) ?? {
          step: 0,
          arrays: Array.from({ length: this.#rule.arrays }, () => allocate(dtype, parameter.size)),
        };
        memory.step++;
        // A new array: results computed before keep the old values, for their backward pass.
        const values = parameter.data.slice();
        this.update(values, grad.data, memory);
        parameter.assign(fromValues(values, parameter.shape));
        this.#memories.set(parameter, memory);
      }
    });
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = null;
  }

  /** One step of the rule: changes `values` and the memory in place. */
  protected abstract update(values: TypedArray, grad: TypedArray, memory: Memory): void;
}
