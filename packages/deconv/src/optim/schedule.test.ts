import { describe, expect, it } from 'vitest';
import { tensor } from '../index.js';
import {
  Adam,
  cosineDecay,
  exponentialDecay,
  type LearningRateSchedule,
  multiStepDecay,
  type Optimizer,
  ReduceOnPlateau,
  Schedule,
  SGD,
  stepDecay,
  warmup,
} from './index.js';

const optimizerOf = (...rates: number[]): Optimizer =>
  new SGD(
    rates.map((lr) => ({ parameters: [tensor([0], { requiresGrad: true })], lr })),
    { lr: 1 },
  );
const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
};

describe('a schedule', () => {
  it('takes any function, and leads each group from its own rate', () => {
    const optimizer = optimizerOf(1, 0.1);
    const schedule = new Schedule(optimizer, (step, base) => base * 0.5 ** step);
    schedule.step();
    schedule.step();
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.25, 0.025]);
    expect(optimizer.lr).toBe(0.25);
  });

  it('may reach 0', () => {
    const optimizer = optimizerOf(1);
    const schedule = new Schedule(optimizer, cosineDecay({ steps: 2 }));
    schedule.step();
    schedule.step();
    expect(optimizer.lr).toBe(0);
  });

  const makers: Record<string, (o: Optimizer) => LearningRateSchedule> = {
    Schedule: (o) => new Schedule(o, warmup({ steps: 3 }, cosineDecay({ steps: 9, floor: 0.01 }))),
    ReduceOnPlateau: (o) => new ReduceOnPlateau(o, { patience: 1, cooldown: 1, factor: 0.5 }),
  };
  const metrics = [3, 2.5, 2.5, 2.6, 2.5, 2.4, 2.4, 2.4, 2.4, 2.4, 2.4, 2.4];

  it.each(Object.entries(makers))('%s goes on from its state as if nothing had been', (_, make) => {
    for (const cut of [0, 1, 4, 8]) {
      const whole = optimizerOf(0.7, 0.2);
      const schedule = make(whole);
      const [first, second] = [optimizerOf(0.7, 0.2), optimizerOf(0.7, 0.2)];
      let going = make(first);
      let optimizer = first;
      for (const [i, metric] of metrics.entries()) {
        if (i === cut) {
          const resumed = make(second);
          second.loadStateDict(first.stateDict());
          resumed.loadStateDict(going.stateDict());
          going = resumed;
          optimizer = second;
        }
        schedule.step(metric);
        going.step(metric);
        expect(optimizer.groups.map(({ lr }) => lr)).toEqual(whole.groups.map(({ lr }) => lr));
      }
      expect(whole.lr).not.toBe(0.7);
    }
  });
});

describe('refusals', () => {
  it('options of rates', () => {
    expect(refusal(() => stepDecay({ every: 0 }))).toBe('stepDecay: every must be an integer ≥ 1, got 0');
    expect(refusal(() => stepDecay({ every: 2, gamma: 0.1 } as never))).toContain("unknown option 'gamma'");
    expect(refusal(() => exponentialDecay(undefined as never))).toBe(
      'exponentialDecay: options are needed: { factor }',
    );
    expect(refusal(() => exponentialDecay({ factor: -1 }))).toContain('factor must be a number > 0, got -1');
    expect(refusal(() => multiStepDecay({ at: [] }))).toContain(
      'at must be a non-empty array of numbers of steps',
    );
    expect(refusal(() => multiStepDecay({ at: [1, 2.5] }))).toContain(
      'at[1] must be an integer ≥ 1, got 2.5',
    );
    expect(refusal(() => cosineDecay({ steps: 3, floor: -0.1 }))).toContain('floor must be a number ≥ 0');
    expect(refusal(() => warmup({ steps: 3 }, 5 as never))).toBe('warmup: then must be a rate, got 5');
  });

  it('what is no optimiser or no rate, and rates that are none', () => {
    expect(refusal(() => new Schedule({} as never, (_, b) => b))).toContain('optimizer must be an optimiser');
    expect(refusal(() => new Schedule(optimizerOf(1), 0.1 as never))).toContain(
      'rate must be a function (step, base)',
    );
    expect(refusal(() => new Schedule(optimizerOf(1), () => Number.NaN))).toBe(
      'Schedule: rate must give a number ≥ 0, at step 0 it gave NaN',
    );
  });

  it('options of a plateau, and steps without a metric', () => {
    const make = (options: object) => () => new ReduceOnPlateau(optimizerOf(1), options);
    expect(refusal(make({ factor: 1 }))).toContain('factor must be a number in [0, 1), got 1');
    expect(refusal(make({ mode: 'smallest' }))).toContain("mode must be one of 'min', 'max'");
    expect(refusal(make({ patience: -1 }))).toContain('patience must be an integer ≥ 0, got -1');
    expect(refusal(make({ minLr: 0 }))).toContain("unknown option 'minLr'");
    expect(refusal(() => new ReduceOnPlateau(optimizerOf(1)).step())).toBe(
      'ReduceOnPlateau.step: metric must be a number, got undefined',
    );
  });

  it('states of another kind', () => {
    const schedule = new Schedule(optimizerOf(1), exponentialDecay({ factor: 0.5 }));
    const plateau = new ReduceOnPlateau(optimizerOf(1));
    expect(refusal(() => schedule.loadStateDict(plateau.stateDict()))).toBe(
      'Schedule.loadStateDict: the state does not fit: 2 missing: Schedule.step, Schedule.bases; 3 unexpected: ' +
        'ReduceOnPlateau.best, ReduceOnPlateau.bad, ReduceOnPlateau.cooling',
    );
    const two = new Schedule(optimizerOf(1, 2), exponentialDecay({ factor: 0.5 }));
    expect(refusal(() => schedule.loadStateDict(two.stateDict()))).toContain(
      '1 of another kind: Schedule.bases must be float64 [1], got float64 [2]',
    );
    const odd = { ...schedule.stateDict(), 'Schedule.step': tensor(-1, [], { dtype: 'float64' }) };
    expect(refusal(() => schedule.loadStateDict(odd))).toContain(
      'Schedule.step must be an integer ≥ 0, got -1',
    );
    expect(refusal(() => plateau.loadStateDict([] as never))).toContain('state must be an object of tensors');
    const bad = { ...plateau.stateDict(), 'ReduceOnPlateau.bad': tensor(0.5, [], { dtype: 'float64' }) };
    expect(refusal(() => plateau.loadStateDict(bad))).toContain('ReduceOnPlateau.bad must be an integer ≥ 0');
  });
});

describe('states of optimisers', () => {
  it('are refused where they are another one’s, or of other shapes, and nothing changes', () => {
    const leaf = (n: number) => tensor(new Float32Array(n).fill(1), { requiresGrad: true });
    const stepped = (n: number, lr = 0.1) => {
      const p = leaf(n);
      const optimizer = new Adam([p], { lr });
      p.grad = tensor(new Float32Array(n).fill(1));
      optimizer.step();
      return optimizer;
    };
    const adam = stepped(3);
    expect(refusal(() => adam.loadStateDict(stepped(2, 0.5).stateDict()))).toBe(
      'Adam.loadStateDict: the state does not fit: 2 of another kind: Adam.parameters.0.mean must be float32 [3], ' +
        'got float32 [2], Adam.parameters.0.meanSquare must be float32 [3], got float32 [2]',
    );
    expect(adam.lr).toBe(0.1);
    expect(refusal(() => adam.loadStateDict(optimizerOf(1).stateDict()))).toBe(
      'Adam.loadStateDict: the state is not one of Adam: it has an entry "SGD.groups.0.lr"',
    );
    const { 'Adam.parameters.0.mean': _, ...rest } = adam.stateDict();
    expect(refusal(() => adam.loadStateDict(rest))).toContain('1 missing: Adam.parameters.0.mean');
    const other = { ...adam.stateDict(), 'Adam.parameters.7.mean': tensor([1]) };
    expect(refusal(() => adam.loadStateDict(other))).toContain('1 unexpected: Adam.parameters.7.mean');
    expect(refusal(() => adam.loadStateDict({ a: 3 } as never))).toContain(
      "state['a'] must be a tensor, got 3",
    );
    const step = { ...adam.stateDict(), 'Adam.parameters.0.step': tensor(0, [], { dtype: 'float64' }) };
    expect(refusal(() => adam.loadStateDict(step))).toContain(
      'Adam.parameters.0.step must be an integer ≥ 1',
    );
    const lr = { ...adam.stateDict(), 'Adam.groups.0.lr': tensor(-1, [], { dtype: 'float64' }) };
    expect(refusal(() => adam.loadStateDict(lr))).toContain('Adam.groups.0.lr must be a number ≥ 0, got -1');
  });
});
