/**
 * plan: how long a training lasts, and how its learning rate falls. By a number of steps, or by time: then the number of
 * steps is an estimate that is looked at again from time to time, and what is left of the cosine is stretched or squeezed
 * to end with the time. The plan is part of the checkpoint: from there on a training goes on with the same numbers.
 *
 *     rate = base · min(1, (step + 1)/warmup) · (floor + (1 − floor)·(1 + cos(π·share))/2)
 */

/** What a checkpoint keeps of it. */
export interface PlanState {
  /** Steps in all. */
  total: number;
  /** Since this step, with this share of the cosine done, the plan is as it is. */
  since: { step: number; share: number };
  /** Milliseconds to end after; null where steps are counted. */
  readonly budget: number | null;
}

const FLOOR = 0.01;
const WARMUP = 50;

/** A plan under way. */
export class Plan {
  readonly state: PlanState;

  constructor(state: PlanState) {
    this.state = structuredClone(state);
  }

  static steps(total: number): Plan {
    return new Plan({ total, since: { step: 0, share: 0 }, budget: null });
  }

  /** As many steps as the time gives, in twenty parts of the same length. */
  static time(budget: number, millisecondsPerStep: number): Plan {
    const total = 20 * Math.max(1, Math.round(budget / millisecondsPerStep / 20));
    return new Plan({ total, since: { step: 0, share: 0 }, budget });
  }

  get total(): number {
    return this.state.total;
  }

  /** How much of the cosine is done before a step, 0 … 1. */
  share(step: number): number {
    const { total, since } = this.state;
    if (step >= total) return 1;
    return since.share + ((1 - since.share) * (step - since.step)) / (total - since.step);
  }

  /** Sets the number of steps anew, from the time that `step` of them took; what is left is a multiple of `every`. */
  revise(step: number, elapsed: number, every: number): void {
    const { budget } = this.state;
    if (budget === null || step === 0 || step >= this.state.total) return;
    const left = Math.max(0, budget - elapsed) / (elapsed / step);
    this.state.since = { step, share: this.share(step) };
    this.state.total = step + every * Math.round(left / every);
  }

  /** The learning rate of a step. */
  rate(step: number, base: number): number {
    const warm = Math.min(1, (step + 1) / WARMUP);
    return base * warm * (FLOOR + ((1 - FLOOR) * (1 + Math.cos(Math.PI * this.share(step)))) / 2);
  }
}
