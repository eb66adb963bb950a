/**
 * Steps of optimisers, element by element. The inputs are the value x, its gradient g, and what the optimiser remembers of
 * it; the output is the new value. What is remembered is changed in place: see `optimizer.step` in backend.ts.
 */
import type { Definition } from '../../backend.js';
import type { TypedArray } from '../../tensor.js';

type Step = Definition<'optimizer.step'>;

/** A step as a loop: the new value of each element, and new memories put where the old ones were. */
/* @__NO_SIDE_EFFECTS__ */
const step =
  (
    move: (x: number, g: number, i: number, memories: TypedArray[], numbers: readonly number[]) => number,
  ): Step =>
  (inputs, { numbers }) => {
    // Engines hand over the arrays themselves, and the optimiser has made them of the type of x.
    const [x, g, ...memories] = inputs as readonly TypedArray[];
    return Float64Array.from(x, (value, i) => move(value, g[i], i, memories, numbers));
  };

/** x ← x − lr·s, with s = g + decay·x the slope, here and below */
export const sgd = step((x, g, _i, _, [lr, decay]) => x - lr * (g + decay * x));

/** v ← momentum·v + s;  x ← x − lr·v */
export const sgdMomentum = step((x, g, i, [velocity], [lr, decay, momentum]) => {
  const v = momentum * velocity[i] + (g + decay * x);
  velocity[i] = v;
  return x - lr * v;
});

/** v ← momentum·v + s;  x ← x − lr·(s + momentum·v) */
export const sgdNesterov = step((x, g, i, [velocity], [lr, decay, momentum]) => {
  const s = g + decay * x;
  const v = momentum * velocity[i] + s;
  velocity[i] = v;
  return x - lr * (s + momentum * v);
});

/** m ← β₁m + (1 − β₁)s;  v ← β₂v + (1 − β₂)s²;  x ← kept·x − lr·m / (√v·unbias + eps) */
export const adam = step((x, g, i, [mean, square], [lr, decay, kept, b1, rest1, b2, rest2, unbias, eps]) => {
  const s = g + decay * x;
  const m = b1 * mean[i] + rest1 * s;
  const v = b2 * square[i] + rest2 * s * s;
  mean[i] = m;
  square[i] = v;
  return kept * x - (lr * m) / (Math.sqrt(v) * unbias + eps);
});

/** v ← αv + (1 − α)s²;  x ← x − lr·s / (√v + eps) */
export const rmsprop = step((x, g, i, [square], [lr, decay, alpha, rest, eps]) => {
  const s = g + decay * x;
  const v = alpha * square[i] + rest * s * s;
  square[i] = v;
  return x - (lr * s) / (Math.sqrt(v) + eps);
});

/** v ← αv + (1 − α)s²;  b ← momentum·b + s / (√v + eps);  x ← x − lr·b */
export const rmspropMomentum = step((x, g, i, [square, buffer], [lr, decay, alpha, rest, eps, momentum]) => {
  const s = g + decay * x;
  const v = alpha * square[i] + rest * s * s;
  const b = momentum * buffer[i] + s / (Math.sqrt(v) + eps);
  square[i] = v;
  buffer[i] = b;
  return x - lr * b;
});

/** t ← t + s²;  x ← x − lr·s / (√t + eps) */
export const adagrad = step((x, g, i, [total], [lr, decay, eps]) => {
  const s = g + decay * x;
  const t = total[i] + s * s;
  total[i] = t;
  return x - (lr * s) / (Math.sqrt(t) + eps);
});
