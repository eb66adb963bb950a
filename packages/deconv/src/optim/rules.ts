/**
 * rules: the arithmetic of each optimiser, element by element, in float64 and rounded once to the number type of what it is
 * stored in. A rule is given the value x, the gradient g, the arrays it remembers and its numbers; it changes the remembered
 * arrays in place and returns new values.
 */
import type { TypedArray } from '../tensor.js';

type Rule = (
  x: TypedArray,
  g: TypedArray,
  memories: readonly TypedArray[],
  numbers: readonly number[],
) => TypedArray;

const sgd: Rule = (x, g, _, [lr, decay]) => x.map((value, i) => value - lr * (g[i] + decay * value));

const sgdMomentum: Rule = (x, g, [velocity], [lr, decay, momentum]) =>
  x.map((value, i) => {
    const v = momentum * velocity[i] + (g[i] + decay * value);
    velocity[i] = v;
    return value - lr * v;
  });

const sgdNesterov: Rule = (x, g, [velocity], [lr, decay, momentum]) =>
  x.map((value, i) => {
    const slope = g[i] + decay * value;
    const v = momentum * velocity[i] + slope;
    velocity[i] = v;
    return value - lr * (slope + momentum * v);
  });

const adam: Rule = (x, g, [mean, meanSquare], [lr, decay, kept, b1, b2, unbias, eps]) =>
  x.map((value, i) => {
    const slope = g[i] + decay * value;
    const m = b1 * mean[i] + (1 - b1) * slope;
    const v = b2 * meanSquare[i] + (1 - b2) * slope * slope;
    mean[i] = m;
    meanSquare[i] = v;
    return kept * value - (lr * m) / (unbias * Math.sqrt(v) + eps);
  });

const rmsprop: Rule = (x, g, [meanSquare], [lr, decay, alpha, eps]) =>
  x.map((value, i) => {
    const slope = g[i] + decay * value;
    const v = alpha * meanSquare[i] + (1 - alpha) * slope * slope;
    meanSquare[i] = v;
    return value - lr * (slope / (Math.sqrt(v) + eps));
  });

const rmspropMomentum: Rule = (x, g, [meanSquare, buffer], [lr, decay, alpha, eps, momentum]) =>
  x.map((value, i) => {
    const slope = g[i] + decay * value;
    const v = alpha * meanSquare[i] + (1 - alpha) * slope * slope;
    const b = momentum * buffer[i] + slope / (Math.sqrt(v) + eps);
    meanSquare[i] = v;
    buffer[i] = b;
    return value - lr * b;
  });

const adagrad: Rule = (x, g, [total], [lr, decay, eps]) =>
  x.map((value, i) => {
    const slope = g[i] + decay * value;
    const s = total[i] + slope * slope;
    total[i] = s;
    return value - (lr * slope) / (Math.sqrt(s) + eps);
  });

export const RULES = { sgd, sgdMomentum, sgdNesterov, adam, rmsprop, rmspropMomentum, adagrad };

/** Name of a rule. */
export type RuleName = keyof typeof RULES;
