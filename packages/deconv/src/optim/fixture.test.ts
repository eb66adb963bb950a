/** Against PyTorch: learning rates of schedules, clipped gradients, steps with groups under a schedule. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../../../../scripts/setup.mjs';
import { type Tensor, tensor } from '../index.js';
import {
  Adagrad,
  Adam,
  AdamW,
  clipGradNorm,
  clipGradValue,
  cosineDecay,
  exponentialDecay,
  multiStepDecay,
  type Optimizer,
  type Parameters,
  type Rate,
  ReduceOnPlateau,
  type ReduceOnPlateauOptions,
  RMSProp,
  Schedule,
  SGD,
  type SGDOptions,
  stepDecay,
  warmup,
} from './index.js';

interface Trajectory {
  readonly name: string;
  readonly options: never;
  readonly bases: number[];
  readonly rates: number[][];
}

interface Fixture {
  readonly schedules: Trajectory[];
  readonly chained: (Trajectory & { readonly warmup: { steps: number; from: number } })[];
  readonly plateau: {
    readonly options: ReduceOnPlateauOptions;
    readonly bases: number[];
    readonly metrics: number[];
    readonly rates: number[][];
  }[];
  readonly clip: {
    readonly kind: 'norm' | 'value';
    readonly most: number;
    readonly normType: number | 'Infinity';
    readonly gradients: number[][];
    readonly norm: number;
    readonly clipped: number[][];
  }[];
  readonly groups: {
    readonly kind: string;
    readonly dtype: 'float32' | 'float64';
    readonly options: SGDOptions;
    readonly own: Partial<SGDOptions>;
    readonly values: number[][];
    readonly gradients: number[][][];
    readonly trajectory: number[][][];
  }[];
}

const fixture: Fixture = JSON.parse(readFileSync(join(root, 'test/fixtures/optim.json'), 'utf8'));
const rates: Record<string, (options: never) => Rate> = {
  stepDecay,
  multiStepDecay,
  exponentialDecay,
  cosineDecay,
  warmup,
};
const kinds: Record<string, new (parameters: Parameters<SGDOptions>, options: SGDOptions) => Optimizer> = {
  SGD,
  Adam,
  AdamW,
  RMSProp,
  Adagrad,
};

/** An optimiser with one group per learning rate. */
const withRates = (bases: readonly number[]) =>
  new SGD(
    bases.map((lr) => ({ parameters: [tensor([0], { requiresGrad: true })], lr })),
    { lr: 1 },
  );

function expectClose(got: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(got.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  for (const [i, value] of expected.entries())
    expect(Math.abs(got[i] - value), `${got} against ${expected}`).toBeLessThanOrEqual(tolerance * scale);
}

/** The recursions of PyTorch and the closed forms here differ by rounding. */
function expectRates(rate: Rate, { bases, rates: expected }: Trajectory): void {
  const optimizer = withRates(bases);
  const schedule = new Schedule(optimizer, rate);
  for (const [step, row] of expected.entries()) {
    if (step > 0) schedule.step();
    for (const [i, { lr }] of optimizer.groups.entries())
      expect(Math.abs(lr - row[i]), `step ${step}: ${lr}, expected ${row[i]}`).toBeLessThan(1e-12);
  }
}

describe('learning rates', () => {
  it.each(fixture.schedules.map((t) => [t.name, t] as const))('%s', (name, trajectory) => {
    expectRates(rates[name.split(',')[0]](trajectory.options), trajectory);
  });

  it.each(fixture.chained.map((t) => [t.name, t] as const))('warm-up, then %s', (name, trajectory) => {
    expectRates(warmup(trajectory.warmup, rates[name](trajectory.options)), trajectory);
  });

  it.each(fixture.plateau.map((p) => [JSON.stringify(p.options), p] as const))('plateau %s', (_, p) => {
    const optimizer = withRates(p.bases);
    const schedule = new ReduceOnPlateau(optimizer, p.options);
    for (const [i, metric] of p.metrics.entries()) {
      schedule.step(metric);
      expectClose(
        optimizer.groups.map(({ lr }) => lr),
        p.rates[i],
        1e-14,
      );
    }
    expect(new Set(p.rates.map(String)).size).toBeGreaterThan(1);
  });
});

describe('clipping', () => {
  it.each(fixture.clip.map((c) => [`${c.kind}, ${c.most}, ${c.normType}`, c] as const))('%s', (_, c) => {
    const parameters = c.gradients.map((values) => {
      const p = tensor(new Float64Array(values.length), { requiresGrad: true });
      p.grad = tensor(values, { dtype: 'float64' });
      return p;
    });
    if (c.kind === 'value') clipGradValue(parameters, c.most);
    else {
      const norm = clipGradNorm(parameters, c.most, { normType: Number(c.normType) });
      expectClose([norm], [c.norm], 1e-14);
    }
    for (const [i, p] of parameters.entries())
      expectClose(Array.from(p.grad?.data ?? []), c.clipped[i], 1e-14);
  });
});

describe('groups under a schedule', () => {
  it.each(fixture.groups.map((g) => [`${g.kind} ${g.dtype}`, g] as const))('%s', (_, g) => {
    const { dtype } = g;
    const parameters = g.values.map((values) => tensor(values, { dtype, requiresGrad: true }));
    const [first, ...others] = parameters;
    const optimizer = new kinds[g.kind](
      [{ parameters: [first] }, { parameters: others, ...g.own }],
      g.options,
    );
    const schedule = new Schedule(optimizer, exponentialDecay({ factor: 0.9 }));
    const moved = (p: Tensor) => Array.from(p.data);
    for (const [step, gradients] of g.gradients.entries()) {
      for (const [i, p] of parameters.entries()) p.grad = tensor(gradients[i], { dtype });
      optimizer.step();
      schedule.step();
      for (const [i, p] of parameters.entries())
        expectClose(moved(p), g.trajectory[step][i], dtype === 'float64' ? 1e-13 : 1e-6);
    }
  });
});
