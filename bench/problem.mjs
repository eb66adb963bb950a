/**
 * problem: one convolution to be timed: its shapes, its useful work and its data. A problem is a plain record, as in
 * shapes.json, completed by `cases.mjs`. Runs in Node and in a page alike.
 */

/**
 * @typedef {object} Problem
 * @property {string} name
 * @property {'convTranspose' | 'conv'} kind
 * @property {number} n batch
 * @property {number} ci channels in
 * @property {number} co channels out
 * @property {number[]} size input, per axis
 * @property {number} k kernel size, the same on every axis; so are the next four
 * @property {number} s stride
 * @property {number} p padding on both sides
 * @property {number} op output padding
 * @property {number} d dilation
 * @property {number} g groups
 */

/** @typedef {'forward' | 'backward'} Task backward: the gradients of the input and of the weight together */

/** @typedef {{ x: Float32Array, w: Float32Array, g: Float32Array }} Data input, weight, gradient of the output */

/** @param {readonly number[]} shape */
export const count = (shape) => shape.reduce((product, n) => product * n, 1);

/** @param {Problem} problem @returns {number[]} */
export const kernelSize = ({ size, k }) => size.map(() => k);

/** (n−1)s − 2p + d(k−1) + 1 + op, or ⌊(n + 2p − d(k−1) − 1) / s⌋ + 1. @param {Problem} problem @returns {number[]} */
export const outputSize = ({ kind, size, k, s, p, op, d }) =>
  size.map((n) =>
    kind === 'convTranspose'
      ? (n - 1) * s - 2 * p + d * (k - 1) + 1 + op
      : Math.floor((n + 2 * p - d * (k - 1) - 1) / s) + 1,
  );

/** (N, C, …space). @param {Problem} problem */
export const inputShape = ({ n, ci, size }) => [n, ci, ...size];

/** (I, O/groups, …k), or (O, I/groups, …k). @param {Problem} problem */
export const weightShape = (problem) => {
  const { kind, ci, co, g } = problem;
  return [...(kind === 'convTranspose' ? [ci, co / g] : [co, ci / g]), ...kernelSize(problem)];
};

/** @param {Problem} problem */
export const outputShape = (problem) => [problem.n, problem.co, ...outputSize(problem)];

/**
 * Useful work in floating-point operations: 2 for every pair of an input and a tap (of an output and a tap, in a
 * convolution), borders not subtracted. Each of the two gradients is as much again.
 *
 * @param {Problem} problem @param {Task} task
 */
export function flops(problem, task) {
  const { kind, n, ci, co, g } = problem;
  const positions = count(kind === 'convTranspose' ? problem.size : outputSize(problem));
  return (task === 'backward' ? 4 : 2) * n * ci * (co / g) * positions * count(kernelSize(problem));
}

/** Numbers in [−1, 1), the same wherever they are made. @param {number} length @param {number} seed */
function numbers(length, seed) {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0; // a linear congruence; its high bits are good enough
    return state / 2 ** 31;
  });
}

/** @param {Problem} problem @returns {Data} */
export const dataOf = (problem) => ({
  x: numbers(count(inputShape(problem)), 1),
  w: numbers(count(weightShape(problem)), 2),
  g: numbers(count(outputShape(problem)), 3),
});
