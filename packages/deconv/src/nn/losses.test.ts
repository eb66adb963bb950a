import { describe, expect, it } from 'vitest';
import { grad, gradcheck, logSoftmax, randn, sigmoid, softmax, sum, type Tensor, tensor } from '../index.js';
import {
  bceLoss,
  bceWithLogits,
  crossEntropy,
  klDivergence,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from './index.js';

const float64 = { dtype: 'float64' } as const;
const leaf = (values: number[]) => tensor(values, { dtype: 'float64', requiresGrad: true });
/** The refusal's text. */
const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
};

describe('values by hand', () => {
  const [x, t] = [tensor([0, 0, 0]), tensor([1, 3, -4])];

  it('mean, sum and none', () => {
    expect(mseLoss(x, t).item()).toBeCloseTo(26 / 3, 6);
    expect(mseLoss(x, t, { reduction: 'sum' }).item()).toBe(26);
    expect(mseLoss(x, t, { reduction: 'none' }).toArray()).toEqual([1, 9, 16]);
    expect(mseLoss(x, t).shape).toEqual([]);
  });

  it('l1 and smooth l1, which is l1 for beta 0 and half the square below beta', () => {
    expect(l1Loss(x, t, { reduction: 'none' }).toArray()).toEqual([1, 3, 4]);
    expect(smoothL1Loss(x, t, { beta: 0, reduction: 'none' }).toArray()).toEqual([1, 3, 4]);
    expect(smoothL1Loss(x, t, { beta: 2, reduction: 'none' }).toArray()).toEqual([0.25, 2, 3]);
  });

  it('cross-entropy over space takes the classes of axis 1', () => {
    const logits = tensor(Float64Array.of(0, 1, 2, 3, 4, 5), [1, 3, 2]);
    const loss = crossEntropy(logits, tensor(Int32Array.of(2, 0), [1, 2]), { reduction: 'none' });
    expect(loss.shape).toEqual([1, 2]);
    expect(loss.data[0]).toBeCloseTo(Math.log(Math.exp(0) + Math.exp(2) + Math.exp(4)) - 4, 12);
    expect(loss.data[1]).toBeCloseTo(Math.log(Math.exp(1) + Math.exp(3) + Math.exp(5)) - 1, 12);
    expect(crossEntropy(logits, [2, 0]).item()).toBeCloseTo((loss.data[0] + loss.data[1]) / 2, 12);
  });

  it('kl of a distribution from itself is 0, and batchMean divides by the batch alone', () => {
    const logits = randn([4, 5], float64);
    const same = klDivergence(logSoftmax(logits), softmax(logits), { reduction: 'batchMean' });
    expect(Math.abs(same.item())).toBeLessThan(1e-15);
    const [p, q] = [logSoftmax(randn([4, 5], { ...float64, seed: 1 })), softmax(logits)];
    const total = klDivergence(p, q, { reduction: 'sum' }).item();
    expect(total).toBeGreaterThan(0.1);
    expect(klDivergence(p, q, { reduction: 'batchMean' }).item()).toBeCloseTo(total / 4, 12);
    expect(klDivergence(p, q).item()).toBeCloseTo(total / 20, 12);
  });
});

describe('at the ends of the number range', () => {
  it('logits of ±1000 and ±∞ neither overflow nor cancel', () => {
    const x = tensor([1000, -1000, 1000, -1000]);
    const t = tensor([1, 0, 0, 1]);
    expect(bceWithLogits(x, t, { reduction: 'none' }).toArray()).toEqual([0, 0, 1000, 1000]);
    // e^−40 is far below the resolution of 40 in either number type.
    const small = bceWithLogits(tensor([40]), tensor([1])).item();
    expect(small / Math.exp(-40)).toBeCloseTo(1, 6);
    expect(
      crossEntropy(
        tensor([
          [1000, 0],
          [0, Number.NEGATIVE_INFINITY],
        ]),
        [1, 0],
      ).item(),
    ).toBe(500);
  });

  it('a certain and wrong probability costs 100 and has a finite gradient', () => {
    const p = leaf([0, 1, 0, 1]);
    const loss = bceLoss(p, tensor([1, 0, 0, 1], float64), { reduction: 'none' });
    expect(loss.toArray()).toEqual([100, 100, 0, 0]);
    sum(loss).backward();
    expect(Array.from(p.grad?.data ?? [])).toEqual([-1e12, 1e12, 0, 0]);
  });

  it('an impossible class adds nothing to a divergence, even where the model rules it out too', () => {
    const x = leaf([Math.log(0.5), Number.NEGATIVE_INFINITY]);
    const t = leaf([1, 0]);
    const loss = klDivergence(x, t, { reduction: 'sum' });
    expect(loss.item()).toBeCloseTo(Math.log(2), 12);
    loss.backward();
    expect(Array.from(x.grad?.data ?? [])).toEqual([-1, 0]);
    expect(t.grad?.data.every(Number.isFinite)).toBe(true);
    expect(klDivergence(leaf([0]), tensor([-0.1], float64)).item()).toBeNaN();
  });
});

describe('gradients', () => {
  const [x, t] = [randn([3, 4], { ...float64, seed: 2 }), randn([3, 4], { ...float64, seed: 3 })];
  const unit = (a: Tensor) => sigmoid(a);
  const losses: Record<string, (a: Tensor, b: Tensor) => Tensor> = {
    mse: mseLoss,
    l1: l1Loss,
    smoothL1: (a, b) => smoothL1Loss(a, b, { beta: 0.7 }),
    bce: (a, b) => bceLoss(unit(a), unit(b)),
    bceWithLogits: (a, b) => bceWithLogits(a, unit(b)),
    crossEntropy: (a) => crossEntropy(a, [3, 0, 2]),
    kl: (a, b) => klDivergence(logSoftmax(a), softmax(b), { reduction: 'batchMean' }),
  };

  for (const [name, loss] of Object.entries(losses)) {
    it(`${name}: against differences, once and twice`, () => {
      expect(gradcheck(loss, [x, t]).error).toBeLessThan(1e-8);
      const slope = (a: Tensor) => grad(loss(a, t), [a], { createGraph: true })[0];
      // The slope of |x − t| is constant: there is nothing to differentiate twice.
      if (name !== 'l1') expect(gradcheck(slope, [x]).error).toBeLessThan(1e-7);
    });
  }

  it('smooth l1 has its second derivative where input and target agree', () => {
    const a = leaf([1]);
    const [first] = grad(smoothL1Loss(a, tensor([1], float64), { beta: 0.5 }), [a], { createGraph: true });
    expect(grad(sum(first), [a])[0].item()).toBe(2);
  });
});

describe('refusals', () => {
  const x = tensor([[1, 2]]);

  it('shapes and number types that differ, and unknown options', () => {
    expect(refusal(() => mseLoss(x, tensor([1, 2])))).toBe(
      'mseLoss: target [2] must have the shape of the input [1, 2]',
    );
    expect(refusal(() => l1Loss(x, tensor([[1, 2]], float64)))).toBe(
      'l1Loss: target is float64 but input is float32 — cast one of them',
    );
    expect(refusal(() => mseLoss(x, x, { reduktion: 'sum' } as never))).toBe(
      "mseLoss: unknown option 'reduktion' — did you mean 'reduction'?",
    );
    expect(refusal(() => mseLoss(x, x, { reduction: 'avg' } as never))).toContain(
      "reduction must be one of 'mean', 'sum', 'none', got \"avg\"",
    );
    expect(refusal(() => klDivergence(x, x, { reduction: 'batchmeen' } as never))).toContain(
      "did you mean 'batchMean'?",
    );
    expect(refusal(() => smoothL1Loss(x, x, { beta: Number.NaN }))).toContain(
      'beta must be a number ≥ 0, got NaN',
    );
    expect(refusal(() => klDivergence(tensor(1), tensor(1), { reduction: 'batchMean' }))).toContain(
      'needs a batch axis',
    );
  });

  it('probabilities that are none', () => {
    expect(refusal(() => bceLoss(x, tensor([[0, 1]])))).toBe(
      'bceLoss: input must be probabilities in [0, 1], got 2 at element 1 — for values before the sigmoid use bceWithLogits',
    );
    expect(refusal(() => bceLoss(tensor([Number.NaN]), tensor([0])))).toContain('got NaN');
  });

  it('classes that are none, or not enough of them', () => {
    expect(refusal(() => crossEntropy(x, [2]))).toBe(
      'crossEntropy: target must be class indices in [0, 1], got 2 at element 0',
    );
    expect(refusal(() => crossEntropy(x, [0, 1]))).toBe(
      'crossEntropy: target must name 1 classes, shape [1], got 2',
    );
    expect(refusal(() => crossEntropy(x, tensor([0])))).toContain(
      'target must be class indices, int32, got float32',
    );
    expect(refusal(() => crossEntropy(x, tensor(Int32Array.of(0), [1, 1])))).toContain('must have shape [1]');
    expect(refusal(() => crossEntropy(tensor([1, 2]), [0]))).toContain('of rank ≥ 2, got [2]');
  });
});
