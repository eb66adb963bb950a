/**
 * optimizer: what all optimisers share: moving parameters, skipping those without a gradient, and what they remember. An
 * optimiser of one kind (sgd.ts, adam.ts …) only turns its options into the numbers of a rule; nothing here is recorded on
 * the tape.
 *
 * Refuses a state that is not one of the same optimiser for parameters of the same shapes.
 */
import { collectedBy, run } from '../autograd.js';
import { refuse, show } from '../errors.js';
import { cast } from '../operations.js';
import { fromValues } from '../ops/input.js';
import { allocate, type Tensor } from '../tensor.js';
import {
  type Group,
  type Kind,
  type OptimizerOptions,
  type ParameterGroup,
  type Parameters,
  readGroups,
  readNumber,
  type Update,
} from './groups.js';
import { checkState, type Entry, readState, SCALAR, type StateDict, scalar } from './state.js';

/** What is remembered of one parameter. */
interface Memory {
  /** Steps made. */
  step: number;
  readonly arrays: readonly Tensor[];
}

/** What is remembered, for others: nobody else may have the array that steps write to. */
const copy = (x: Tensor) => run(cast, [x], { dtype: x.dtype }, x.shape);

/** The common part of all optimisers. Parameters without a gradient are skipped, and forget nothing. */
export abstract class Optimizer {
  /** The tensors that {@link step} moves, group after group. */
  readonly parameters: readonly Tensor[];
  /** The groups of parameters; a single one unless groups were given. */
  readonly groups: readonly ParameterGroup[];
  readonly #name: string;
  readonly #groups: readonly Group[];
  readonly #memories = new Map<Tensor, Memory>();

  /** @internal */
  protected constructor(
    kind: Kind<OptimizerOptions>,
    parameters: Parameters<OptimizerOptions>,
    options: OptimizerOptions,
  ) {
    this.#name = kind.name;
    this.#groups = Object.freeze(readGroups(kind, parameters, options));
    this.groups = this.#groups;
    this.parameters = Object.freeze(this.#groups.flatMap((group) => group.parameters));
  }

  /** Learning rate of the first group. Setting it sets that of all groups, from the next step on. */
  get lr(): number {
    return this.#groups[0].lr;
  }

  set lr(lr: number) {
    for (const group of this.#groups) group.lr = lr;
  }

  /** Moves every parameter that has a gradient by one step. */
  step(): void {
    for (const { parameters, update, lr } of this.#groups) {
      for (const parameter of parameters) {
        const grad = collectedBy(parameter);
        if (grad === null) continue;
        const memory = this.#memories.get(parameter) ?? {
          step: 0,
          arrays: update.memories.map(() =>
            fromValues(allocate(parameter.dtype, parameter.size), parameter.shape),
          ),
        };
        memory.step++;
        const moved = run(
          update.rule,
          [parameter, grad, ...memory.arrays],
          { numbers: update.numbers(lr, memory.step) },
          parameter.shape,
        );
        parameter.assign(moved);
        moved.letGo();
        this.#memories.set(parameter, memory);
      }
    }
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = null;
  }

  /**
   * What the optimiser remembers, as it is now: the learning rate of each group, and of each parameter that was moved the
   * steps and the running values. All other options are those of the constructor.
   *
   * @example
   * ```ts
   * import { square, sum, tensor } from 'deconv';
   * import { SGD } from 'deconv/optim';
   * const x = tensor([4], { requiresGrad: true });
   * const optimizer = new SGD([x], { lr: 0.25, momentum: 0.5 });
   * sum(square(x)).backward();
   * optimizer.step();
   * console.log(Object.keys(optimizer.stateDict()));
   * // [ 'SGD.groups.0.lr', 'SGD.parameters.0.step', 'SGD.parameters.0.velocity' ]
   * ```
   */
  stateDict(): Record<string, Tensor> {
    const state: Record<string, Tensor> = {};
    for (const [i, { lr }] of this.#groups.entries()) state[`${this.#name}.groups.${i}.lr`] = scalar(lr);
    for (const [prefix, parameter, { memories }] of this.#places()) {
      const memory = this.#memories.get(parameter);
      if (memory === undefined) continue;
      state[`${prefix}step`] = scalar(memory.step);
      for (const [i, name] of memories.entries()) state[prefix + name] = copy(memory.arrays[i]);
    }
    return state;
  }

  /**
   * Takes over what {@link stateDict} gave: the next steps are, bit for bit, those that the other optimiser would have
   * made. Where something does not fit nothing is changed.
   *
   * @throws DeconvError that lists what is missing, unexpected or of another shape, and for another optimiser's state
   */
  loadStateDict(state: StateDict): void {
    const op = `${this.#name}.loadStateDict`;
    const given = readState(op, state);
    const other = [...given.keys()].find((name) => !name.startsWith(`${this.#name}.`));
    if (other !== undefined)
      refuse(op, 'state', `the state is not one of ${this.#name}: it has an entry ${show(other)}`);
    const wanted = new Map<string, Entry>();
    for (const i of this.#groups.keys()) wanted.set(`${this.#name}.groups.${i}.lr`, SCALAR);
    // Of a parameter that never had a gradient there is nothing.
    const moved = this.#places().filter(([prefix]) =>
      [...given.keys()].some((name) => name.startsWith(prefix)),
    );
    for (const [prefix, parameter, { memories }] of moved) {
      wanted.set(`${prefix}step`, SCALAR);
      for (const name of memories) wanted.set(prefix + name, parameter);
    }
    checkState(op, given, wanted);
    const at = (name: string) => given.get(name) as Tensor;
    const rates = this.#groups.map((_, i) => {
      const name = `${this.#name}.groups.${i}.lr`;
      return readNumber(op, name, at(name).item());
    });
    const steps = moved.map(([prefix]) => {
      const step = at(`${prefix}step`).item();
      if (Number.isSafeInteger(step) && step >= 1) return step;
      return refuse(op, 'state', `${prefix}step must be an integer ≥ 1, got ${show(step)}`);
    });
    this.#memories.clear();
    for (const [i, [prefix, parameter, { memories }]] of moved.entries()) {
      const arrays = memories.map((name) => fromValues(at(prefix + name).data.slice(), parameter.shape));
      this.#memories.set(parameter, { step: steps[i], arrays });
    }
    for (const [i, group] of this.#groups.entries()) group.lr = rates[i];
  }

  /** Every parameter, with what its names in a state begin with. */
  #places(): [prefix: string, parameter: Tensor, update: Update][] {
    let i = 0;
    return this.#groups.flatMap(({ parameters, update }) =>
      parameters.map((parameter): [string, Tensor, Update] => [
        `${this.#name}.parameters.${i++}.`,
        parameter,
        update,
      ]),
    );
  }
}
