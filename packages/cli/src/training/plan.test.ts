/** Plans: where the learning rate begins and ends, and what a look at the clock changes. */
import { describe, expect, it } from 'vitest';
import { Plan } from './plan.js';
import { everyOf } from './run.js';

describe('a plan by steps', () => {
  it('warms up, and falls to a hundredth along a cosine', () => {
    const plan = Plan.steps(1000);
    expect(plan.rate(0, 1)).toBeCloseTo(1 / 50, 6);
    expect(plan.rate(500, 1)).toBeCloseTo(0.505, 6);
    expect(plan.rate(1000, 1)).toBeCloseTo(0.01, 6);
    plan.revise(100, 1e9, 5);
    expect(plan.total).toBe(1000);
  });
});

describe('a plan by time', () => {
  it('ends with the time when steps turn out to be slower or faster, without a jump in the rate', () => {
    for (const milliseconds of [50, 200]) {
      const plan = Plan.time(100_000, 100);
      expect(plan.total).toBe(1000);
      const before = plan.rate(200, 1);
      plan.revise(200, 200 * milliseconds, 10);
      expect(plan.rate(200, 1)).toBeCloseTo(before, 12);
      expect(plan.total).toBe(100_000 / milliseconds);
      expect(plan.share(plan.total)).toBe(1);
      expect(plan.rate(plan.total, 1)).toBeCloseTo(0.01, 9);
    }
  });

  it('ends at once when the time is up', () => {
    const plan = Plan.time(1000, 10);
    plan.revise(50, 2000, 5);
    expect(plan.total).toBe(50);
    expect(plan.rate(50, 1)).toBeCloseTo(0.01, 9);
  });

  it('goes on from what a checkpoint keeps', () => {
    const plan = Plan.time(60_000, 30);
    plan.revise(300, 15_000, 20);
    const again = new Plan(JSON.parse(JSON.stringify(plan.state)));
    for (const step of [300, 777, 1100]) expect(again.rate(step, 0.002)).toBe(plan.rate(step, 0.002));
  });
});

describe('everyOf', () => {
  it('divides the total where that gives ten to twenty looks', () => {
    expect([20, 60, 1000, 37, 3].map(everyOf)).toEqual([1, 3, 50, 2, 1]);
  });
});
