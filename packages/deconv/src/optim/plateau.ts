/** plateau: a learning rate that falls when a metric has stopped to improve. */
import { checkName, checkOptions, refuse, show } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { readNumber } from './groups.js';
import { Optimizer } from './optimizer.js';
import type { LearningRateSchedule } from './schedule.js';
import { checkState, readState, SCALAR, type StateDict, scalar } from './state.js';

/** Options of {@link ReduceOnPlateau}. */
export interface ReduceOnPlateauOptions {
  /** Whether the metric is better when smaller or when larger. Default `'min'`. */
  readonly mode?: 'min' | 'max' | undefined;
  /** What the learning rate is multiplied with, in [0, 1). Default 0.1. */
  readonly factor?: number | undefined;
  /** Steps without improvement that are put up with. Default 10. */
  readonly patience?: number | undefined;
  /** What counts as an improvement: a change by more than this. Default 1e-4. */
  readonly threshold?: number | undefined;
  /** Whether the threshold is a share of the best value or a difference from it. Default `'relative'`. */
  readonly thresholdMode?: 'relative' | 'absolute' | undefined;
  /** Steps after a reduction in which nothing is counted. Default 0. */
  readonly cooldown?: number | undefined;
  /** The learning rate does not fall below this. Default 0. */
  readonly floor?: number | undefined;
  /** Smaller changes of the learning rate are not made. Default 1e-8. */
  readonly eps?: number | undefined;
}

const OPTIONS = ['mode', 'factor', 'patience', 'threshold', 'thresholdMode', 'cooldown', 'floor', 'eps'];
const NAMES = ['best', 'bad', 'cooling'] as const;

/**
 * Multiplies the learning rates of an optimiser by a factor whenever a metric has not improved for more than `patience`
 * steps. PyTorch's `ReduceLROnPlateau`. A metric that is NaN is no improvement.
 *
 * @param options `{ mode = 'min', factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = 'relative', cooldown = 0,
 *   floor = 0, eps = 1e-8 }`
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { ReduceOnPlateau, SGD } from 'deconv/optim';
 * const optimizer = new SGD([tensor([1], { requiresGrad: true })], { lr: 1 });
 * const schedule = new ReduceOnPlateau(optimizer, { patience: 1, factor: 0.5 });
 * for (const loss of [3, 2, 2, 2]) schedule.step(loss);
 * console.log(optimizer.lr); // 0.5
 * ```
 */
export class ReduceOnPlateau implements LearningRateSchedule {
  readonly #optimizer: Optimizer;
  readonly #options: Required<{
    [K in keyof ReduceOnPlateauOptions]: NonNullable<ReduceOnPlateauOptions[K]>;
  }>;
  #best: number;
  /** Steps without improvement. */
  #bad = 0;
  /** Steps until counting begins again. */
  #cooling = 0;

  constructor(optimizer: Optimizer, options: ReduceOnPlateauOptions = {}) {
    const op = 'ReduceOnPlateau';
    if (!(optimizer instanceof Optimizer))
      refuse(op, 'optimizer', `optimizer must be an optimiser, got ${show(optimizer)}`);
    checkOptions(op, options, OPTIONS);
    const { mode = 'min', thresholdMode = 'relative' } = options;
    checkName(op, 'mode', mode, ['min', 'max']);
    checkName(op, 'thresholdMode', thresholdMode, ['relative', 'absolute']);
    const count = (name: 'patience' | 'cooldown', preset: number): number => {
      const value = options[name] ?? preset;
      if (Number.isSafeInteger(value) && value >= 0) return value;
      return refuse(op, name, `${name} must be an integer ≥ 0, got ${show(value)}`);
    };
    this.#options = {
      mode,
      thresholdMode,
      factor: readNumber(op, 'factor', options.factor ?? 0.1, 0, 1),
      patience: count('patience', 10),
      cooldown: count('cooldown', 0),
      threshold: readNumber(op, 'threshold', options.threshold ?? 1e-4),
      floor: readNumber(op, 'floor', options.floor ?? 0),
      eps: readNumber(op, 'eps', options.eps ?? 1e-8),
    };
    this.#optimizer = optimizer;
    this.#best = mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  /** Counts one step with this metric, and lowers the learning rates if it is time. */
  step(metric?: number): void {
    if (typeof metric !== 'number')
      refuse('ReduceOnPlateau.step', 'metric', `metric must be a number, got ${show(metric)}`);
    const { patience, cooldown, factor, floor, eps } = this.#options;
    if (this.#improves(metric)) {
      this.#best = metric;
      this.#bad = 0;
    } else this.#bad++;
    if (this.#cooling > 0) {
      this.#cooling--;
      this.#bad = 0;
    }
    if (this.#bad <= patience) return;
    this.#cooling = cooldown;
    this.#bad = 0;
    for (const group of this.#optimizer.groups) {
      const lr = Math.max(group.lr * factor, floor);
      if (group.lr - lr > eps) group.lr = lr;
    }
  }

  #improves(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    const sign = mode === 'min' ? -1 : 1;
    const bound =
      thresholdMode === 'relative' ? this.#best * (1 + sign * threshold) : this.#best + sign * threshold;
    return sign * metric > sign * bound;
  }

  /** The best metric and what has been counted. The learning rates are in the state of the optimiser. */
  stateDict(): Record<string, Tensor> {
    const values = { best: this.#best, bad: this.#bad, cooling: this.#cooling };
    return Object.fromEntries(NAMES.map((name) => [`ReduceOnPlateau.${name}`, scalar(values[name])]));
  }

  /**
   * Takes over what {@link stateDict} gave.
   *
   * @throws DeconvError for a state that does not fit; nothing is changed then
   */
  loadStateDict(state: StateDict): void {
    const op = 'ReduceOnPlateau.loadStateDict';
    const given = readState(op, state);
    checkState(op, given, new Map(NAMES.map((name) => [`ReduceOnPlateau.${name}`, SCALAR])));
    const [best, bad, cooling] = NAMES.map((name) => given.get(`ReduceOnPlateau.${name}`)?.item() as number);
    for (const [name, value] of Object.entries({ bad, cooling })) {
      if (!Number.isSafeInteger(value) || value < 0)
        refuse(op, 'state', `ReduceOnPlateau.${name} must be an integer ≥ 0, got ${show(value)}`);
    }
    [this.#best, this.#bad, this.#cooling] = [best, bad, cooling];
  }
}
