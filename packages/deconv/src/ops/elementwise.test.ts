import { describe, expect, it } from 'vitest';
import { grad } from '../autograd.js';
import type { Tensor } from '../tensor.js';
import { ones, tensor, zeros } from './create.js';
import {
  abs,
  add,
  allClose,
  clamp,
  div,
  elu,
  equal,
  erf,
  exp,
  gelu,
  greater,
  greaterEqual,
  hardSigmoid,
  leakyRelu,
  log,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  relu,
  sigmoid,
  silu,
  softplus,
  sqrt,
  sub,
  tanh,
  where,
} from './elementwise.js';
import { sum } from './reduce.js';

const [NAN, INF] = [Number.NaN, Number.POSITIVE_INFINITY];
const f64 = (...values: number[]): Tensor => tensor(values, { dtype: 'float64' });
const list = (x: Tensor): number[] => Array.from(x.data);
/** Derivative of f at each value. */
const slope = (f: (x: Tensor) => Tensor, ...at: number[]): number[] => {
  const x = tensor(at, { dtype: 'float64', requiresGrad: true });
  return list(grad(sum(f(x)), [x])[0]);
};

describe('broadcasting', () => {
  it.each([
    [[2, 3], [3], [2, 3]],
    [
      [2, 1],
      [1, 3],
      [2, 3],
    ],
    [[], [2, 2], [2, 2]],
    [
      [4, 1, 2],
      [3, 1],
      [4, 3, 2],
    ],
    [[1], [0], [0]],
    [
      [2, 1],
      [2, 0],
      [2, 0],
    ],
    [[1, 1, 1], [2], [1, 1, 2]],
  ])('%j with %j gives %j, element for element', (aShape, bShape, expected) => {
    const count = (shape: number[]) => shape.reduce((p, q) => p * q, 1);
    const ramp = (shape: number[], scale: number) =>
      tensor(
        Array.from({ length: count(shape) }, (_, i) => (i + 1) * scale),
        shape,
        { dtype: 'float64' },
      );
    const [a, b] = [ramp(aShape, 1), ramp(bShape, 100)];
    const y = add(a, b);
    expect(y.shape).toEqual(expected);
    // The element of an operand under the output's indices, axes of length 1 and missing ones at 0.
    const under = (x: Tensor, index: number[]) => {
      const own = index.slice(index.length - x.rank);
      return x.data[own.reduce((flat, i, axis) => flat * x.shape[axis] + (x.shape[axis] === 1 ? 0 : i), 0)];
    };
    for (let flat = 0; flat < y.size; flat++) {
      const index: number[] = [];
      for (let axis = expected.length - 1, rest = flat; axis >= 0; axis--) {
        index.unshift(rest % expected[axis]);
        rest = Math.floor(rest / expected[axis]);
      }
      expect(y.data[flat]).toBe(under(a, index) + under(b, index));
    }
    expect(sub(b, a).shape).toEqual(expected);
  });

  it('sums the gradient over what was repeated', () => {
    const a = zeros([4, 1, 2], { dtype: 'float64', requiresGrad: true });
    const b = zeros([3, 1], { dtype: 'float64', requiresGrad: true });
    const c = tensor(0, { dtype: 'float64', requiresGrad: true });
    add(add(a, b), c).backward(ones([4, 3, 2], { dtype: 'float64' }));
    expect([a.grad?.shape, new Set(a.grad?.data)]).toEqual([[4, 1, 2], new Set([3])]);
    expect([b.grad?.shape, new Set(b.grad?.data)]).toEqual([[3, 1], new Set([8])]);
    expect([c.grad?.shape, c.grad?.item()]).toEqual([[], 24]);
  });

  it('refuses what does not align', () => {
    expect(() => add(zeros([2, 3]), zeros([2]))).toThrow(
      'add: shapes [2, 3] and [2] do not broadcast: 3 against 2 at axis -1',
    );
    expect(() => mul(zeros([2, 1]), zeros([3, 1]))).toThrow(
      'mul: shapes [2, 1] and [3, 1] do not broadcast: 2 against 3 at axis -2',
    );
    expect(() => add(zeros([0]), zeros([2]))).toThrow('0 against 2 at axis -1');
  });
});

describe('operands', () => {
  it('may be numbers on either side, in the type of the tensor', () => {
    expect(list(sub(1, f64(3, 4)))).toEqual([-2, -3]);
    expect(div(f64(1), 3).dtype).toBe('float64');
    expect(div(f64(1), 3).item()).toBe(1 / 3);
    expect(add(tensor([1]), 0.1).dtype).toBe('float32');
    expect(list(add(tensor([1, 2], { dtype: 'int32' }), 5))).toEqual([6, 7]);
    expect(pow(2, f64(3)).item()).toBe(8);
  });

  it('of two floating-point types give the wider', () => {
    expect([add(tensor([1]), f64(1)).dtype, mul(f64(1), tensor([1])).dtype]).toEqual(['float64', 'float64']);
  });

  it('are refused where an integer type would lose them', () => {
    const pixels = tensor([10, 200], { dtype: 'uint8' });
    expect(() => mul(pixels, 1 / 255)).toThrow(
      "mul: b 0.00392156862745098 is not a number of type uint8 — cast(x, 'float32')",
    );
    expect(() => sub(0.5, pixels)).toThrow('sub: a 0.5 is not a number of type uint8');
    expect(() => neg(pixels)).toThrow('mul: b -1 is not a number of type uint8');
    expect(() => add(tensor([1], { dtype: 'int32' }), NAN)).toThrow(
      'add: b NaN is not a number of type int32',
    );
    expect(() => where(pixels, pixels, 0.5)).toThrow('where: b 0.5 is not a number of type uint8');
    expect(() => div(pixels, 2)).toThrow("div: a must be float32 or float64, got uint8 — cast(x, 'float32')");
    expect(() => add(pixels, tensor([1, 1]))).toThrow('add: a is uint8 but b is float32 — cast one of them');
    expect(list(equal(pixels, 200))).toEqual([0, 1]);
  });

  it('are refused when they are not tensors', () => {
    expect(() => add(1, 2)).toThrow('add: a or b must be a tensor, got two numbers');
    expect(() => add(1, undefined as never)).toThrow('add: b must be a tensor, got undefined');
    expect(() => add(undefined as never, 1)).toThrow('add: a must be a tensor, got undefined');
    expect(() => mul(f64(1), [2] as never)).toThrow(
      'mul: b must be a tensor, got [2] — wrap it: tensor(values, shape)',
    );
    expect(() => add(Float32Array.of(1) as never, f64(1))).toThrow(
      'add: a must be a tensor, got Float32Array(4 bytes) — wrap it: tensor(values, shape)',
    );
    expect(() => relu(3 as never)).toThrow('relu: x must be a tensor, got 3');
    expect(() => relu(tensor([1], { dtype: 'int32' }))).toThrow(
      "relu: x must be float32 or float64, got int32 — cast(x, 'float32')",
    );
    expect(() => leakyRelu(f64(1), { slope: 0.1 } as never)).toThrow(
      'leakyRelu: leakyRelu takes numbers after x, got an object with ["slope"]',
    );
    expect(() => gelu(f64(1), { approximate: 'Tanh' as never })).toThrow(
      "gelu: approximate must be one of 'none', 'tanh', got \"Tanh\" — did you mean 'tanh'?",
    );
    expect(() => hardSigmoid(f64(1), { slope: 1 } as never)).toThrow(
      "hardSigmoid: unknown option 'slope' — known options are alpha, beta",
    );
    expect(() => clamp(f64(1), { minimum: 1 } as never)).toThrow("clamp: unknown option 'minimum'");
    expect(list(clamp(f64(1, -1)))).toEqual([1, -1]);
  });
});

describe('NaN and infinities', () => {
  it('NaN stays NaN through every function of one argument', () => {
    for (const f of [
      abs,
      exp,
      log,
      sqrt,
      relu,
      sigmoid,
      tanh,
      softplus,
      erf,
      gelu,
      silu,
      leakyRelu,
      elu,
      hardSigmoid,
    ]) {
      expect(list(f(f64(NAN, 1)))[0]).toBeNaN();
      expect(list(f(f64(NAN, 1)))[1]).not.toBeNaN();
    }
    expect(list(clamp(f64(NAN), { min: 0, max: 1 }))[0]).toBeNaN();
  });

  it('passes through maximum and minimum, and fails every comparison', () => {
    const [a, b] = [f64(NAN, 1, INF), f64(1, NAN, -INF)];
    expect(list(maximum(a, b))).toEqual([NAN, NAN, INF]);
    expect(list(minimum(a, b))).toEqual([NAN, NAN, -INF]);
    expect(list(equal(f64(NAN), NAN))).toEqual([0]);
    expect(list(greater(a, b))).toEqual([0, 0, 1]);
    expect(list(greaterEqual(a, b))).toEqual([0, 0, 1]);
    expect(list(greaterEqual(f64(2, 1), f64(2, 2)))).toEqual([1, 0]);
  });

  it('saturates where the limit exists', () => {
    expect(list(sigmoid(f64(-INF, -1000, 1000, INF)))).toEqual([0, 0, 1, 1]);
    expect(list(tanh(f64(-INF, INF)))).toEqual([-1, 1]);
    expect(list(softplus(f64(-1000, 1000, INF)))).toEqual([0, 1000, INF]);
    expect(list(erf(f64(-INF, -10, 0, 10, INF)))).toEqual([-1, -1, 0, 1, 1]);
    expect(list(elu(f64(-INF, INF)))).toEqual([-1, INF]);
    expect(list(hardSigmoid(f64(-INF, INF)))).toEqual([0, 1]);
    expect(slope(sigmoid, -1000, 1000)).toEqual([0, 0]);
    expect(slope(softplus, -1000, 1000)).toEqual([0, 1]);
  });

  it('is not chosen by where, nor is its gradient', () => {
    const x = tensor([-1, 4], { dtype: 'float64', requiresGrad: true });
    const y = where(greater(x, 0), sqrt(x), 0);
    expect(list(y)).toEqual([0, 2]);
    const a = tensor([INF, NAN, 1], { dtype: 'float64', requiresGrad: true });
    const b = tensor([5, 6, 7], { dtype: 'float64', requiresGrad: true });
    sum(where(f64(0, 0, 1), a, b)).backward();
    expect([list(a.grad as Tensor), list(b.grad as Tensor)]).toEqual([[0, 0, 1], [1, 1, 0]]); // biome-ignore format: pairs
  });
});

describe('derivatives at the kinks', () => {
  it("are PyTorch's", () => {
    expect(slope(relu, 0)).toEqual([0]);
    expect(slope(abs, 0)).toEqual([0]);
    expect(slope((x) => leakyRelu(x, 0.1), 0)).toEqual([0.1]);
    expect(slope(elu, 0)).toEqual([1]);
    expect(slope((x) => clamp(x, { min: -1, max: 1 }), -1, 1, 2)).toEqual([1, 1, 0]);
    expect(slope(hardSigmoid, -3, 3)).toEqual([0, 0]);
    expect(slope(sqrt, 0)).toEqual([INF]);
  });

  it('of powers of and to 0 are 0, not 0·∞', () => {
    const a = tensor([0, 0, 2], { dtype: 'float64', requiresGrad: true });
    const b = tensor([0, 2, 0], { dtype: 'float64', requiresGrad: true });
    const y = pow(a, b);
    expect(list(y)).toEqual([1, 0, 1]);
    sum(y).backward();
    expect(list(a.grad as Tensor)).toEqual([0, 0, 0]);
    expect(list(b.grad as Tensor)).toEqual([0, 0, Math.log(2)]);
    expect(slope((x) => pow(x, 0), 0, 3)).toEqual([0, 0]);
    expect(slope((x) => pow(x, 2), 0, -3)).toEqual([0, -6]);
  });

  it('of equals are shared evenly by maximum and minimum', () => {
    for (const f of [maximum, minimum]) {
      const [a, b] = [tensor([2], { requiresGrad: true }), tensor([2], { requiresGrad: true })];
      sum(f(a, b)).backward();
      expect([a.grad?.item(), b.grad?.item()]).toEqual([0.5, 0.5]);
    }
  });

  it('of a quotient survive small and large divisors in float32', () => {
    for (const scale of [1e-25, 1e25]) {
      const b = tensor([scale], { requiresGrad: true });
      sum(div(tensor([scale]), b)).backward();
      expect((b.grad?.item() ?? 0) * scale).toBeCloseTo(-1, 5);
    }
  });
});

describe('erf', () => {
  it('is exact to rounding on both sides of its two formulas', () => {
    // As the C library has it.
    const known: [number, number][] = [
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [2.9999, 0.9999778955735178],
      [3.0001, 0.9999779234241298],
      [4, 0.9999999845827421],
    ];
    for (const [x, y] of known) {
      expect(erf(f64(x)).item()).toBeCloseTo(y, 14);
      expect(erf(f64(-x)).item()).toBeCloseTo(-y, 14);
    }
  });
});

describe('allClose', () => {
  it('compares shape, type and values', () => {
    expect(allClose(f64(1, 2), f64(1 + 1e-6, 2))).toBe(true);
    expect(allClose(f64(1, 2), f64(1.1, 2))).toBe(false);
    expect(allClose(f64(1, 2), f64(1.1, 2), 0.2)).toBe(true);
    expect(allClose(f64(0), f64(1e-3), 0, 1e-2)).toBe(true);
    expect(allClose(f64(1), tensor([1]))).toBe(false);
    expect(allClose(f64(1), tensor([[1]], { dtype: 'float64' }))).toBe(false);
    expect(allClose(zeros([0]), zeros([0]))).toBe(true);
  });

  it('holds infinities equal to themselves alone, and NaN to nothing', () => {
    expect(allClose(f64(INF, -INF), f64(INF, -INF))).toBe(true);
    expect(allClose(f64(INF), f64(-INF))).toBe(false);
    expect(allClose(f64(5), f64(INF))).toBe(false);
    expect(allClose(f64(INF), f64(5))).toBe(false);
    expect(allClose(f64(NAN), f64(NAN))).toBe(false);
  });
});
