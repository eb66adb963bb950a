import { describe, expect, it } from 'vitest';
import { grad, isGradEnabled, noGrad } from './autograd.js';
import { DeconvError } from './errors.js';
import { conv1d } from './ops/conv.js';
import { full, ones, tensor } from './ops/create.js';
import { add, exp, mul, sigmoid, sub } from './ops/elementwise.js';
import { cast, concat, expand, reshape } from './ops/layout.js';
import { argMax, sum } from './ops/reduce.js';
import { upsample } from './ops/upsample.js';
import type { BackwardOptions, Tensor } from './tensor.js';

const leaf = (...values: number[]): Tensor => tensor(values, { dtype: 'float64', requiresGrad: true });
const constant = (...values: number[]): Tensor => tensor(values, { dtype: 'float64' });
const values = (x: Tensor | null | undefined): number[] | null => (x ? Array.from(x.data) : null);

describe('backward', () => {
  it('adds to grad, until grad is set to null', () => {
    const x = leaf(1, 2, 3);
    const run = () => sum(mul(x, x)).backward();
    run();
    expect(values(x.grad)).toEqual([2, 4, 6]);
    const first = x.grad;
    run();
    expect(values(x.grad)).toEqual([4, 8, 12]);
    // What was handed out before does not change.
    expect(values(first)).toEqual([2, 4, 6]);
    x.grad = null;
    expect(x.grad).toBeNull();
    run();
    expect(values(x.grad)).toEqual([2, 4, 6]);
  });

  it('adds to a grad that the user has set', () => {
    const x = leaf(1, 2);
    x.grad = constant(10, 20);
    sum(x).backward();
    expect(values(x.grad)).toEqual([11, 21]);
  });

  it('adds up all the ways in which a leaf is used', () => {
    const x = leaf(3);
    const square = mul(x, x);
    add(add(square, square), mul(square, x)).backward();
    expect(values(x.grad)).toEqual([2 * 2 * 3 + 3 * 9]);
  });

  it('reaches a leaf through a diamond once, with everything', () => {
    // 2^30 ways from the result to the leaf: only a walk by nodes, not by ways, ends.
    const x = leaf(1);
    let y: Tensor = x;
    for (let i = 0; i < 30; i++) y = add(y, y);
    y.backward();
    expect(values(x.grad)).toEqual([2 ** 30]);
  });

  it('walks 20 000 operations deep', () => {
    const x = leaf(1, 2);
    let y: Tensor = x;
    for (let i = 0; i < 20_000; i++) y = add(y, 0.5);
    sum(y).backward();
    expect(values(x.grad)).toEqual([1, 1]);
    expect(values(y)).toEqual([10_001, 10_002]);
  });

  it('differentiates a leaf with respect to itself', () => {
    const x = leaf(5);
    x.backward();
    expect(values(x.grad)).toEqual([1]);
    const v = leaf(1, 2);
    const seed = constant(3, 4);
    v.backward(seed);
    v.backward(seed);
    expect(values(v.grad)).toEqual([6, 8]);
    expect(values(seed)).toEqual([3, 4]);
  });

  it('leaves constants and results without grad', () => {
    const [x, c] = [leaf(1), constant(2)];
    const y = mul(x, c);
    y.backward();
    expect([c.grad, y.grad]).toEqual([null, null]);
    expect(c.requiresGrad).toBe(false);
    expect([x.isLeaf, y.isLeaf, c.isLeaf]).toEqual([true, false, true]);
  });

  it('gives gradients the number type of their tensor', () => {
    const [single, double] = [tensor([1, 2], { requiresGrad: true }), leaf(3, 4)];
    const product = mul(single, double);
    expect(product.dtype).toBe('float64');
    sum(product).backward();
    expect(single.grad?.dtype).toBe('float32');
    expect(double.grad?.dtype).toBe('float64');
  });

  it('takes a gradient of the output, of its shape and type', () => {
    const x = leaf(1, 2, 3);
    expect(() => mul(x, x).backward()).toThrow(
      'backward: gradOutput is required for a tensor of 3 elements, shape [3]',
    );
    expect(() => mul(x, x).backward(ones([3]))).toThrow(
      'backward: gradOutput must be float64 [3] like the output, got float32 [3]',
    );
    expect(() => mul(x, x).backward(constant(1))).toThrow(
      'backward: gradOutput must be float64 [3] like the output, got float64 [1]',
    );
    // @ts-expect-error not a tensor
    expect(() => mul(x, x).backward([1, 1, 1])).toThrow(
      'backward: gradOutput must be a tensor, got [1, 1, 1]',
    );
    mul(x, x).backward(constant(1, 0, -1));
    expect(values(x.grad)).toEqual([2, 0, -6]);
  });

  it('refuses options that it does not know', () => {
    const x = leaf(1);
    const options = { retain_graph: true } as BackwardOptions;
    expect(() => mul(x, x).backward(undefined, options)).toThrow(
      "backward: unknown option 'retain_graph' — did you mean 'retainGraph'?",
    );
    expect(() => grad(mul(x, x), [x], options)).toThrow(
      "grad: unknown option 'retain_graph' — did you mean 'retainGraph'?",
    );
  });

  it('refuses tensors without a tape, integers among them', () => {
    const text = 'this tensor depends on no tensor with requiresGrad';
    expect(() => constant(1).backward()).toThrow(`backward: ${text}`);
    const x = leaf(1, 3, 2);
    const position = argMax(x);
    expect(position.dtype).toBe('int32');
    expect(() => position.backward()).toThrow(`backward: ${text}`);
    expect(() => cast(x, 'int32').backward()).toThrow(`backward: ${text}`);
    expect(() => tensor([1, 2], { dtype: 'int32', requiresGrad: true })).toThrow(
      'requiresGrad: only float32 and float64 tensors have gradients, this one is int32',
    );
  });
});

describe('the life of the tape', () => {
  it('is let go after one walk, and says so', () => {
    const x = leaf(2);
    const y = mul(x, x);
    y.backward();
    expect(() => y.backward()).toThrow(
      'backward: the tape of mul was walked and let go; pass { retainGraph: true } the first time',
    );
    expect(values(x.grad)).toEqual([4]);
  });

  it('also refuses when only a shared part was let go', () => {
    const x = leaf(2);
    const shared = mul(x, x);
    sum(shared).backward();
    expect(() => exp(shared).backward()).toThrow(DeconvError);
  });

  it('is kept with retainGraph, and with createGraph', () => {
    const x = leaf(2);
    const y = mul(x, x);
    y.backward(undefined, { retainGraph: true });
    y.backward(undefined, { createGraph: true });
    y.backward();
    expect(values(x.grad)).toEqual([12]);
  });

  it('is let go with createGraph when retainGraph is false; the new tape still works', () => {
    const x = leaf(2);
    const y = mul(x, x);
    const [first] = grad(y, [x], { createGraph: true, retainGraph: false });
    expect(values(grad(first, [x])[0])).toEqual([2]);
    expect(() => y.backward()).toThrow('was walked and let go');
  });
});

describe('noGrad and detach', () => {
  it('record nothing', () => {
    const x = leaf(1, 2);
    const y = noGrad(() => {
      expect(isGradEnabled()).toBe(false);
      return mul(x, 2);
    });
    expect(isGradEnabled()).toBe(true);
    expect([y.requiresGrad, y.isLeaf]).toEqual([false, true]);
    const cut = mul(x, 3).detach();
    expect(cut.requiresGrad).toBe(false);
    sum(mul(cut, x)).backward();
    expect(values(x.grad)).toEqual([3, 6]);
  });

  it('noGrad ends when the body throws, and nests', () => {
    expect(() =>
      noGrad(() => {
        throw new Error('within');
      }),
    ).toThrow('within');
    expect(isGradEnabled()).toBe(true);
    noGrad(() => {
      noGrad(() => undefined);
      expect(isGradEnabled()).toBe(false);
    });
  });

  it('noGrad refuses a body that has not finished', () => {
    expect(() => noGrad(async () => 1)).toThrow('noGrad: body must be synchronous, it returned a promise');
    expect(isGradEnabled()).toBe(true);
  });

  it('backward without createGraph records nothing', () => {
    const x = leaf(2);
    mul(x, x).backward();
    expect(x.grad?.requiresGrad).toBe(false);
  });
});

describe('grad', () => {
  it('returns gradients and collects none', () => {
    const [x, y] = [leaf(2, 3), leaf(5, 7)];
    const [gx, gy] = grad(sum(mul(x, mul(x, y))), [x, y]);
    expect(values(gx)).toEqual([20, 42]);
    expect(values(gy)).toEqual([4, 9]);
    expect([x.grad, y.grad]).toEqual([null, null]);
  });

  it('gives the gradient of a result on the way, and of the output itself', () => {
    const x = leaf(2);
    const middle = mul(x, x);
    const y = mul(middle, 3);
    const [gx, gm, gy] = grad(y, [x, middle, y]);
    expect([values(gx), values(gm), values(gy)]).toEqual([[12], [3], [1]]);
  });

  it('gives zeros for what the output does not depend on', () => {
    const [x, y] = [leaf(2), tensor([[1, 2]], { requiresGrad: true })];
    const [, g] = grad(mul(x, x), [x, y]);
    expect([g.dtype, g.shape, values(g)]).toEqual(['float32', [1, 2], [0, 0]]);
  });

  it('can be repeated: third derivative of x⁴', () => {
    const x = leaf(2);
    let y = mul(mul(x, x), mul(x, x));
    for (let i = 0; i < 3; i++) [y] = grad(y, [x], { createGraph: true });
    expect(values(y)).toEqual([48]);
  });

  it('refuses arguments that it cannot use', () => {
    const x = leaf(1);
    // @ts-expect-error not an array
    expect(() => grad(mul(x, x), x)).toThrow('grad: inputs must be an array of tensors, got a Tensor');
    expect(() => grad(mul(x, x), [x, constant(1)])).toThrow(
      'grad: inputs[1] must be a tensor that requires a gradient',
    );
    // @ts-expect-error not a tensor
    expect(() => grad(3, [x])).toThrow('grad: output must be a tensor, got 3');
    expect(() => grad(constant(3), [x])).toThrow('grad: this tensor depends on no tensor');
    expect(() => exp(sigmoid(x))).not.toThrow();
  });

  it('says how far derivatives of elementwise functions go', () => {
    const x = leaf(1);
    const [first] = grad(sigmoid(x), [x], { createGraph: true });
    const [second] = grad(first, [x], { createGraph: true });
    expect(() => grad(second, [x])).toThrow(
      'sigmoid: sigmoid has derivatives up to the second, order 3 was asked for',
    );
  });
});

describe('what a backward pass remembers', () => {
  it('keeps the values of an assigned leaf, whether it needs a gradient or not', () => {
    const [w, c] = [leaf(2), constant(3)];
    const y = mul(w, c);
    w.assign(constant(100));
    c.assign(constant(1000));
    y.backward();
    expect(values(w.grad)).toEqual([3]);
    expect(values(mul(w, c))).toEqual([100_000]);
  });

  it('keeps the weight of a convolution', () => {
    const x = tensor([[[1, 2, 3]]], { dtype: 'float64', requiresGrad: true });
    const w = tensor([[[1, 10]]], { dtype: 'float64', requiresGrad: true });
    const y = conv1d(x, w);
    w.assign(full([1, 1, 2], 7, { dtype: 'float64' }));
    y.backward(ones([1, 1, 2], { dtype: 'float64' }));
    expect(values(x.grad)).toEqual([1, 11, 10]);
    expect(values(w.grad)).toEqual([3, 5]);
  });

  it('keeps the gradient of the output that was given, for the second walk', () => {
    const x = tensor([[[1, 2, 3]]], { dtype: 'float64', requiresGrad: true });
    const w = tensor([[[1, 10]]], { dtype: 'float64', requiresGrad: true });
    const seed = tensor([[[1, 1]]], { dtype: 'float64', requiresGrad: true });
    const [gx] = grad(conv1d(x, w), [x], { gradOutput: seed, createGraph: true });
    seed.assign(full([1, 1, 2], 50, { dtype: 'float64' }));
    const [gw] = grad(sum(gx), [w]);
    expect(values(gw)).toEqual([2, 2]);
  });

  it('outlives the disposal of inputs and of results on the way', () => {
    const x = leaf(2, 3);
    const middle = mul(x, x);
    const y = mul(middle, middle);
    middle.dispose();
    sum(y).backward();
    expect(values(x.grad)).toEqual([32, 108]);
    const z = leaf(4);
    const out = mul(z, z);
    z.dispose();
    expect(() => out.backward()).not.toThrow();
  });

  it('refuses to assign to results, and other shapes and types', () => {
    const x = leaf(1, 2);
    expect(() => mul(x, 2).assign(constant(1, 2))).toThrow('assign: only a leaf can be assigned to');
    expect(() => x.assign(constant(1))).toThrow('assign: values must be float64 [2], got float64 [1]');
    expect(() => x.assign(tensor([1, 2]))).toThrow('assign: values must be float64 [2], got float32 [2]');
    // @ts-expect-error not a tensor
    expect(() => x.assign([1, 2])).toThrow('assign: values must be a tensor, got [1, 2]');
  });
});

describe('gradients share no memory', () => {
  const ways: [string, (a: Tensor, b: Tensor) => Tensor][] = [
    ['a + b', add],
    ['(a + b) + a, reshaped', (a, b) => reshape(add(add(a, b), a), [2])],
    ['expand and cast that change nothing', (a, b) => add(expand(a, [2]), cast(b, 'float64'))],
    ['upsample by 1', (a, b) => reshape(upsample(reshape(add(a, b), [1, 1, 2]), 1), [2])],
  ];
  it.each(ways)('%s', (_name, f) => {
    for (const createGraph of [false, true]) {
      const [a, b] = [leaf(1, 2), leaf(3, 4)];
      const seed = constant(1, 1);
      f(a, b).backward(seed, { createGraph });
      const returned = grad(f(a, b), [a, b, a], { gradOutput: seed, createGraph });
      const all = [a.grad, b.grad, seed, ...returned];
      const buffers = all.map((x) => x?.data.buffer);
      expect(new Set(buffers).size).toBe(all.length);
      expect(new Set(all).size).toBe(all.length);
      // Disposing of one leaves the others.
      a.grad?.dispose();
      expect(values(b.grad)).toEqual([1, 1]);
      expect(values(seed)).toEqual([1, 1]);
    }
  });

  it('copies made for that keep the tape', () => {
    const [a, b] = [leaf(1), leaf(2)];
    const seed = leaf(5);
    const [ga, gb] = grad(add(a, b), [a, b], { gradOutput: seed, createGraph: true });
    const [first, second] = [grad(ga, [seed])[0], grad(gb, [seed])[0]];
    expect([values(first), values(second)]).toEqual([[1], [1]]);
  });
});

describe('grad as a property', () => {
  it('takes null or a tensor like its own', () => {
    const x = leaf(1, 2);
    expect(() => {
      x.grad = constant(1);
    }).toThrow('grad: grad must be null or float64 [2], got float64 [1]');
    expect(() => {
      x.grad = tensor([1, 2]);
    }).toThrow('grad: grad must be null or float64 [2], got float32 [2]');
    expect(() => {
      constant(1).grad = constant(1);
    }).toThrow('grad: grad can only be set on a leaf with requiresGrad');
  });

  it('goes with requiresGrad, which only a leaf can change', () => {
    const x = leaf(1);
    const y = mul(x, 2);
    expect(() => {
      y.requiresGrad = false;
    }).toThrow('requiresGrad can only be set on a leaf, no result; use detach()');
    x.requiresGrad = false;
    expect(sub(x, 1).requiresGrad).toBe(false);
  });

  it('flows to those inputs only that need it', () => {
    const [a, b] = [leaf(1), constant(2)];
    sum(concat([a, b, a])).backward();
    expect([values(a.grad), b.grad]).toEqual([[2], null]);
  });
});
