import { describe, expect, it } from 'vitest';
import { mul, randn, square, sum, type Tensor, tensor } from '../index.js';
import { Adagrad, Adam, AdamW, clipGradNorm, clipGradValue, type Optimizer, RMSProp, SGD } from './index.js';

const leaf = (values: number[]) => tensor(values, { dtype: 'float64', requiresGrad: true });
const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
};

const rules: Record<string, (parameters: readonly Tensor[]) => Optimizer> = {
  SGD: (p) => new SGD(p, { lr: 0.1 }),
  'SGD with momentum': (p) => new SGD(p, { lr: 0.05, momentum: 0.9, nesterov: true }),
  Adam: (p) => new Adam(p, { lr: 0.05 }),
  AdamW: (p) => new AdamW(p, { lr: 0.05 }),
  RMSProp: (p) => new RMSProp(p, { lr: 0.01, momentum: 0.5 }),
  Adagrad: (p) => new Adagrad(p, { lr: 1 }),
};

describe.each(Object.entries(rules))('%s', (_name, make) => {
  it('finds the bottom of a valley', () => {
    const x = leaf([1, -2, 0.5]);
    const optimizer = make([x]);
    for (let step = 0; step < 400; step++) {
      optimizer.zeroGrad();
      sum(square(x)).backward();
      optimizer.step();
    }
    expect(Math.max(...x.data.map(Math.abs))).toBeLessThan(0.02);
  });

  it('skips what has no gradient, and leaves the old values to results computed before', () => {
    const [x, y] = [leaf([3]), leaf([5])];
    const optimizer = make([x, y]);
    const before = x.data;
    const result = sum(mul(x, x));
    sum(square(x)).backward();
    optimizer.step();
    expect(y.item()).toBe(5);
    expect(x.item()).not.toBe(3);
    expect(before[0]).toBe(3);
    optimizer.zeroGrad();
    result.backward();
    expect(x.grad?.item()).toBe(6);
  });

  it.each([3, 9000])('goes on from its state, bit for bit, with %i values', (length) => {
    const run = (steps: number, optimizer: Optimizer, [x, y]: Tensor[]) => {
      for (let step = 0; step < steps; step++) {
        optimizer.zeroGrad();
        sum(square(mul(x, y))).backward();
        optimizer.step();
      }
    };
    const pair = () => [
      randn([length], { seed: 1, requiresGrad: true }),
      tensor([0.5], { requiresGrad: true }),
    ];
    const [whole, first, second] = [pair(), pair(), pair()];
    run(7, make(whole), whole);
    const before = make(first);
    run(3, before, first);
    const state = before.stateDict();
    const kept = Object.entries(state).map(([name, value]) => [name, value.toArray()]);
    for (const [i, p] of second.entries()) p.assign(first[i].detach());
    const after = make(second);
    after.loadStateDict(state);
    run(4, before, first);
    run(4, after, second);
    for (const [i, p] of whole.entries()) {
      expect(second[i].toArray()).toEqual(p.toArray());
      expect(first[i].toArray()).toEqual(p.toArray());
    }
    // What was handed out does not change with the optimiser that it came from, or went to.
    expect(Object.entries(state).map(([name, value]) => [name, value.toArray()])).toEqual(kept);
  });

  it('is not recorded, keeps the number type, and forgets gradients when told', () => {
    const x = tensor([3], { requiresGrad: true });
    const optimizer = make([x]);
    sum(square(x)).backward();
    optimizer.step();
    expect([x.isLeaf, x.dtype, x.requiresGrad]).toEqual([true, 'float32', true]);
    expect(x.grad?.item()).toBe(6);
    optimizer.zeroGrad();
    expect(x.grad).toBeNull();
  });
});

describe('groups', () => {
  it('have their own options, and the optimiser’s for the rest', () => {
    const [p, q] = [leaf([1]), leaf([1])];
    const optimizer = new SGD(
      [
        { parameters: [p], weightDecay: 0.5 },
        { parameters: [q], lr: 0.5 },
      ],
      {
        lr: 0.1,
      },
    );
    for (const x of [p, q]) x.grad = tensor([1], { dtype: 'float64' });
    optimizer.step();
    expect([p.item(), q.item()]).toEqual([0.85, 0.5]);
    expect(optimizer.parameters).toEqual([p, q]);
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.1, 0.5]);
    optimizer.groups[1].lr = 0.25;
    expect([optimizer.lr, optimizer.groups[1].lr]).toEqual([0.1, 0.25]);
    optimizer.lr = 1;
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([1, 1]);
  });
});

describe('clipping', () => {
  const withGrad = (values: number[]) => {
    const p = leaf(values);
    p.grad = tensor(values, { dtype: 'float64' });
    return p;
  };

  it('takes all gradients as one vector, and leaves what is small enough', () => {
    const [p, q, r] = [withGrad([3]), withGrad([4]), leaf([7])];
    expect(clipGradNorm([p, q, r], 10)).toBe(5);
    expect([p.grad?.item(), q.grad?.item(), r.grad]).toEqual([3, 4, null]);
    expect(clipGradNorm(p, 1)).toBe(3);
    expect(p.grad?.item()).toBeCloseTo(1, 6);
    expect(clipGradNorm([r], 1)).toBe(0);
    expect(clipGradNorm([withGrad([]), q], 0)).toBe(4);
    expect(q.grad?.item()).toBe(0);
  });

  it('lets what is not finite show', () => {
    const [p, q] = [withGrad([Number.NaN, 1]), withGrad([1])];
    expect(clipGradNorm([p, q], 1)).toBeNaN();
    expect(q.grad?.item()).toBeNaN();
    const r = withGrad([Number.NaN, 9, Number.NEGATIVE_INFINITY]);
    clipGradValue(r, 2);
    expect(r.grad?.toArray()).toEqual([Number.NaN, 2, -2]);
  });

  it('refuses what it cannot clip', () => {
    const p = withGrad([1]);
    expect(refusal(() => clipGradNorm(5 as never, 1))).toContain(
      'must be a tensor or an array of tensors, got 5',
    );
    expect(refusal(() => clipGradNorm([p, null as never], 1))).toContain('parameters[1] must be a tensor');
    expect(refusal(() => clipGradNorm([p], -1))).toBe('clipGradNorm: maxNorm must be a number ≥ 0, got -1');
    expect(refusal(() => clipGradNorm([p], 1, { normType: 0 }))).toContain('normType must be a number > 0');
    expect(refusal(() => clipGradNorm([p], 1, { norm: 1 } as never))).toContain("unknown option 'norm'");
    expect(refusal(() => clipGradValue([p], '1' as never))).toContain(
      'maxValue must be a number ≥ 0, got "1"',
    );
  });
});

describe('rules by hand', () => {
  const moved = (optimizer: (p: Tensor[]) => Optimizer, gradients: number[]): number => {
    const p = leaf([1]);
    const rule = optimizer([p]);
    for (const g of gradients) {
      p.grad = tensor([g], { dtype: 'float64' });
      rule.step();
    }
    return p.item();
  };

  it('weight decay: inside the gradient for Adam, beside it for AdamW', () => {
    expect(moved((p) => new AdamW(p, { lr: 0.1, weightDecay: 0.5 }), [0])).toBeCloseTo(0.95, 12);
    expect(moved((p) => new Adam(p, { lr: 0.1, weightDecay: 0.5 }), [0])).toBeCloseTo(0.9, 6);
    expect(moved((p) => new SGD(p, { lr: 0.1, weightDecay: 0.5 }), [0])).toBeCloseTo(0.95, 12);
  });

  it('momentum: v = 1, then 1.5', () => {
    expect(moved((p) => new SGD(p, { lr: 0.1, momentum: 0.5 }), [1, 1])).toBeCloseTo(0.75, 12);
  });

  it('a changed learning rate counts from the next step', () => {
    const p = leaf([1]);
    const optimizer = new SGD([p], { lr: 0.1 });
    optimizer.lr = 0.5;
    p.grad = tensor([1], { dtype: 'float64' });
    optimizer.step();
    expect([optimizer.lr, p.item()]).toEqual([0.5, 0.5]);
  });

  it('a parameter that is skipped does not age', () => {
    const [p, q] = [leaf([1]), leaf([1])];
    const optimizer = new Adam([p, q], { lr: 0.1 });
    for (let step = 0; step < 5; step++) {
      p.grad = tensor([1], { dtype: 'float64' });
      if (step === 4) q.grad = tensor([1], { dtype: 'float64' });
      optimizer.step();
    }
    expect(q.item()).toBeCloseTo(0.9, 7);
  });
});

describe('refusals', () => {
  const x = leaf([1]);

  it('parameters that cannot be moved', () => {
    expect(refusal(() => new SGD([], { lr: 1 }))).toBe(
      'SGD: parameters must be a non-empty array of tensors, got []',
    );
    expect(refusal(() => new Adam(x as never))).toContain('must be a non-empty array of tensors');
    expect(refusal(() => new Adam([x, 3 as never]))).toBe('Adam: parameters[1] must be a tensor, got 3');
    expect(refusal(() => new SGD([mul(x, 2)], { lr: 1 }))).toBe(
      'SGD: parameters[0] [1] is a result, only leaves can be moved — pass the tensor it was computed from',
    );
    expect(refusal(() => new SGD([x, x], { lr: 1 }))).toBe('SGD: parameters[1] is parameters[0] again');
    expect(refusal(() => new SGD([tensor(Int32Array.of(1))], { lr: 1 }))).toContain('got int32');
    expect(refusal(() => new SGD([tensor([1])], { lr: 1 }))).toContain('none would ever move');
  });

  it('groups that cannot be moved', () => {
    const group = (options: object) => [{ parameters: [x], ...options }];
    expect(refusal(() => new SGD(group({ lr: -1 }), { lr: 1 }))).toBe(
      'SGD: parameters[0]: lr must be a number > 0, got -1',
    );
    expect(refusal(() => new Adam(group({ momentum: 1 }) as never))).toContain(
      "Adam: parameters[0]: unknown option 'momentum'",
    );
    expect(refusal(() => new SGD([...group({}), ...group({})], { lr: 1 }))).toBe(
      'SGD: parameters[1].parameters[0] is parameters[0].parameters[0] again',
    );
    expect(refusal(() => new SGD([{ parameters: [] }], { lr: 1 }))).toContain(
      'parameters[0].parameters must be a non-empty array of tensors, got []',
    );
    expect(refusal(() => new SGD([x, { parameters: [x] }] as never, { lr: 1 }))).toContain(
      'parameters[1] must be a tensor, got an object with ["parameters"]',
    );
    expect(refusal(() => new SGD(group({ momentum: 0.5 }), {} as never))).toContain(
      'lr must be a number > 0',
    );
    expect(new SGD(group({ lr: 2 }), {} as never).lr).toBe(2);
  });

  it('learning rates that are none', () => {
    for (const lr of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '0.1', null]) {
      expect(refusal(() => new Adagrad([x], { lr: lr as number }))).toContain(
        'Adagrad: lr must be a number > 0, got ',
      );
    }
    const optimizer = new SGD([x], { lr: 1 });
    expect(
      refusal(() => {
        optimizer.lr = -1;
      }),
    ).toBe('SGD: lr must be a number ≥ 0, got -1');
    expect(refusal(() => new SGD([x], {} as never))).toBe('SGD: lr must be a number > 0, got undefined');
  });

  it('options that are unknown or out of range', () => {
    expect(refusal(() => new Adam([x], { learningRate: 1 } as never))).toContain(
      "unknown option 'learningRate'",
    );
    expect(refusal(() => new SGD([x], { lr: 1, momentun: 0.9 } as never))).toBe(
      "SGD: unknown option 'momentun' — did you mean 'momentum'?",
    );
    expect(refusal(() => new Adam([x], 0.1 as never))).toBe('Adam: options must be an object, got 0.1');
    expect(refusal(() => new SGD([x], { lr: 1, momentum: 1 }))).toBe(
      'SGD: momentum must be a number in [0, 1), got 1',
    );
    expect(refusal(() => new SGD([x], { lr: 1, nesterov: true }))).toContain('the momentum, which is 0');
    expect(refusal(() => new SGD([x], { lr: 1, weightDecay: -1 }))).toBe(
      'SGD: weightDecay must be a number ≥ 0, got -1',
    );
    expect(refusal(() => new Adam([x], { betas: [0.9] as never }))).toContain('betas must be two numbers');
    expect(refusal(() => new Adam([x], { eps: 0 }))).toBe('Adam: eps must be a number > 0, got 0');
    expect(refusal(() => new RMSProp([x], { alpha: 1.5 }))).toBe(
      'RMSProp: alpha must be a number in [0, 1), got 1.5',
    );
  });
});
