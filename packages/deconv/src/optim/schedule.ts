/**
 * schedule: learning rates that change as training goes on. A *rate* is a plain function (number of the step, rate to begin
 * with) → rate; a {@link Schedule} lets an optimiser follow one, group by group. Rates are written in closed form, so that
 * where a schedule stands is one number, and the learning rates are those of PyTorch's schedulers.
 *
 * Refuses options that are unknown or out of range, and a rate that gives anything but a number ≥ 0.
 */
import { checkOptions, refuse, show } from '../errors.js';
import { fromValues } from '../ops/input.js';
import type { Tensor } from '../tensor.js';
import { readNumber, readPositive } from './groups.js';
import { Optimizer } from './optimizer.js';
import { checkState, readState, SCALAR, type StateDict, scalar } from './state.js';

/**
 * A learning rate as a function.
 *
 * @param step steps made so far: 0 at first
 * @param base learning rate that the group had when the schedule was made
 */
export type Rate = (step: number, base: number) => number;

/** What changes learning rates: {@link Schedule} or {@link ReduceOnPlateau}. */
export interface LearningRateSchedule {
  /** Goes on by one step; `metric` is for schedules that go by one. */
  step(metric?: number): void;
  stateDict(): Record<string, Tensor>;
  loadStateDict(state: StateDict): void;
}

function readCount(op: string, name: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  return refuse(op, name, `${name} must be an integer ≥ 1, got ${show(value)}`);
}

function readOptions(op: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) refuse(op, 'options', `options are needed: { ${known.join(', ')} }`);
  checkOptions(op, options, known);
}

/**
 * base · factor^⌊step / every⌋: falls by a factor every so many steps. PyTorch's `StepLR`.
 *
 * @param options `{ every, factor = 0.1 }`
 * @example
 * ```ts
 * import { stepDecay } from 'deconv/optim';
 * const rate = stepDecay({ every: 2, factor: 0.5 });
 * console.log([0, 1, 2, 3, 4].map((step) => rate(step, 1))); // [ 1, 1, 0.5, 0.5, 0.25 ]
 * ```
 */
export function stepDecay(options: { readonly every: number; readonly factor?: number | undefined }): Rate {
  const op = 'stepDecay';
  readOptions(op, options, ['every', 'factor']);
  const every = readCount(op, 'every', options.every);
  const factor = readPositive(op, 'factor', options.factor ?? 0.1);
  return (step, base) => base * factor ** Math.floor(step / every);
}

/**
 * base · factor^(number of milestones reached): falls by a factor at each. PyTorch's `MultiStepLR`.
 *
 * @param options `{ at, factor = 0.1 }`, `at` being numbers of steps
 * @example
 * ```ts
 * import { multiStepDecay } from 'deconv/optim';
 * const rate = multiStepDecay({ at: [1, 3], factor: 0.5 });
 * console.log([0, 1, 2, 3, 4].map((step) => rate(step, 1))); // [ 1, 0.5, 0.5, 0.25, 0.25 ]
 * ```
 */
export function multiStepDecay(options: {
  readonly at: readonly number[];
  readonly factor?: number | undefined;
}): Rate {
  const op = 'multiStepDecay';
  readOptions(op, options, ['at', 'factor']);
  const { at } = options;
  if (!Array.isArray(at) || at.length === 0)
    refuse(op, 'at', `at must be a non-empty array of numbers of steps, got ${show(at)}`);
  const milestones = at.map((step: unknown, i) => readCount(op, `at[${i}]`, step));
  const factor = readPositive(op, 'factor', options.factor ?? 0.1);
  return (step, base) => base * factor ** milestones.filter((milestone) => milestone <= step).length;
}

/**
 * base · factor^step. PyTorch's `ExponentialLR`.
 *
 * @param options `{ factor }`
 */
export function exponentialDecay(options: { readonly factor: number }): Rate {
  const op = 'exponentialDecay';
  readOptions(op, options, ['factor']);
  const factor = readPositive(op, 'factor', options.factor);
  return (step, base) => base * factor ** step;
}

/**
 * floor + (base − floor)·(1 + cos(π·step / steps))/2: half a wave from base down to the floor (Loshchilov & Hutter 2016,
 * arXiv:1608.03983). Beyond `steps` it rises again, as PyTorch's `CosineAnnealingLR` does.
 *
 * @param options `{ steps, floor = 0 }`
 * @example
 * ```ts
 * import { cosineDecay } from 'deconv/optim';
 * const rate = cosineDecay({ steps: 4, floor: 0.1 });
 * console.log([0, 2, 4].map((step) => rate(step, 1))); // [ 1, 0.55, 0.1 ]
 * ```
 */
export function cosineDecay(options: { readonly steps: number; readonly floor?: number | undefined }): Rate {
  const op = 'cosineDecay';
  readOptions(op, options, ['steps', 'floor']);
  const steps = readCount(op, 'steps', options.steps);
  const floor = readNumber(op, 'floor', options.floor ?? 0);
  return (step, base) => floor + ((base - floor) * (1 + Math.cos((Math.PI * step) / steps))) / 2;
}

/**
 * Grows in a straight line from `from`·base to base in so many steps, then goes on with another rate, which counts its
 * steps from there. PyTorch's `LinearLR`, and `SequentialLR` of it and another.
 *
 * @param options `{ steps, from = 1/3 }`
 * @param then the rate afterwards; default: base
 * @example
 * ```ts
 * import { stepDecay, warmup } from 'deconv/optim';
 * const rate = warmup({ steps: 4, from: 0 }, stepDecay({ every: 2, factor: 0.5 }));
 * console.log([0, 1, 2, 3, 4, 5, 6].map((step) => rate(step, 1))); // [ 0, 0.25, 0.5, 0.75, 1, 1, 0.5 ]
 * ```
 */
export function warmup(
  options: { readonly steps: number; readonly from?: number | undefined },
  then: Rate = (_, base) => base,
): Rate {
  const op = 'warmup';
  readOptions(op, options, ['steps', 'from']);
  const steps = readCount(op, 'steps', options.steps);
  const from = readNumber(op, 'from', options.from ?? 1 / 3);
  if (typeof then !== 'function') refuse(op, 'then', `then must be a rate, got ${show(then)}`);
  return (step, base) =>
    step < steps ? base * (from + ((1 - from) * step) / steps) : then(step - steps, base);
}

/**
 * Lets the learning rates of an optimiser follow a rate: sets them when it is made and at each {@link step}, in each group
 * from what it had at first. A rate is one of this file or a function of your own. How often `step` is called, after each
 * batch or after each epoch, is up to you; the rate counts in those steps.
 *
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { Schedule, SGD } from 'deconv/optim';
 * const optimizer = new SGD([tensor([1], { requiresGrad: true })], { lr: 0.5 });
 * const schedule = new Schedule(optimizer, (step, base) => base / (1 + step));
 * schedule.step();
 * console.log(optimizer.lr); // 0.25
 * ```
 */
export class Schedule implements LearningRateSchedule {
  readonly #optimizer: Optimizer;
  readonly #rate: Rate;
  #bases: readonly number[];
  #step = 0;

  constructor(optimizer: Optimizer, rate: Rate) {
    const op = 'Schedule';
    if (!(optimizer instanceof Optimizer))
      refuse(op, 'optimizer', `optimizer must be an optimiser, got ${show(optimizer)}`);
    if (typeof rate !== 'function')
      refuse(op, 'rate', `rate must be a function (step, base) → learning rate, got ${show(rate)}`);
    this.#optimizer = optimizer;
    this.#rate = rate;
    this.#bases = optimizer.groups.map(({ lr }) => lr);
    this.#apply();
  }

  /** Goes on by one step. */
  step(): void {
    this.#step++;
    this.#apply();
  }

  #apply(): void {
    const rates = this.#bases.map((base): number => {
      const lr = this.#rate(this.#step, base);
      if (typeof lr === 'number' && Number.isFinite(lr) && lr >= 0) return lr;
      return refuse(
        'Schedule',
        'rate',
        `rate must give a number ≥ 0, at step ${this.#step} it gave ${show(lr)}`,
      );
    });
    for (const [i, group] of this.#optimizer.groups.entries()) group.lr = rates[i];
  }

  /** Where the schedule stands: the steps made, and what each group had at first. */
  stateDict(): Record<string, Tensor> {
    return {
      'Schedule.step': scalar(this.#step),
      'Schedule.bases': fromValues(Float64Array.from(this.#bases), [this.#bases.length]),
    };
  }

  /**
   * Takes over what {@link stateDict} gave, and sets the learning rates accordingly.
   *
   * @throws DeconvError for a state that does not fit; nothing is changed then
   */
  loadStateDict(state: StateDict): void {
    const op = 'Schedule.loadStateDict';
    const given = readState(op, state);
    const length = this.#bases.length;
    checkState(
      op,
      given,
      new Map([
        ['Schedule.step', SCALAR],
        ['Schedule.bases', { dtype: 'float64', shape: [length] }],
      ]),
    );
    const step = given.get('Schedule.step')?.item();
    if (!Number.isSafeInteger(step) || (step as number) < 0)
      refuse(op, 'state', `Schedule.step must be an integer ≥ 0, got ${show(step)}`);
    const bases = Array.from(given.get('Schedule.bases')?.data ?? [], (base, i) =>
      readNumber(op, `Schedule.bases[${i}]`, base),
    );
    this.#step = step as number;
    this.#bases = bases;
    this.#apply();
  }
}
