/**
 * cases: what is measured, by suite. The ten transposed convolutions of shapes.json come from well-known networks; the
 * others are there so that a special case for those ten would gain nothing.
 */
import { readFileSync } from 'node:fs';

/** @typedef {import('./problem.mjs').Problem} Problem */
/** @typedef {import('./problem.mjs').Task} Task */

/**
 * @typedef {object} Suite
 * @property {string} title
 * @property {Task} task
 * @property {'GF/s' | 'µs'} unit
 * @property {number} times calls per timing; the time of one call is reported
 * @property {Problem[]} problems
 */

const plain = { n: 1, p: 0, op: 0, d: 1, g: 1 };

/** @param {Partial<Problem>} record @returns {Problem} */
const conv = (record) => /** @type {Problem} */ ({ ...plain, kind: 'conv', ...record });
/** @param {Partial<Problem>} record @returns {Problem} */
const transpose = (record) => /** @type {Problem} */ ({ ...plain, kind: 'convTranspose', ...record });

/** @type {(Omit<Problem, 'kind' | 'size'> & { h: number, w: number })[]} */
const table = JSON.parse(readFileSync(new URL('./shapes.json', import.meta.url), 'utf8'));

const transposes = table.map(({ h, w, ...rest }) => transpose({ ...rest, size: [h, w] }));

const convs = [
  conv({ name: '3->96 k11 s4 227', ci: 3, co: 96, size: [227, 227], k: 11, s: 4 }),
  conv({ name: '64->64 k3 p1 128', ci: 64, co: 64, size: [128, 128], k: 3, s: 1, p: 1 }),
  conv({ name: '64->128 k4 s2 p1 64 b4', n: 4, ci: 64, co: 128, size: [64, 64], k: 4, s: 2, p: 1 }),
  conv({ name: '256->256 k3 p1 28 b4', n: 4, ci: 256, co: 256, size: [28, 28], k: 3, s: 1, p: 1 }),
  conv({ name: '256->64 k1 56', ci: 256, co: 64, size: [56, 56], k: 1, s: 1 }),
  conv({ name: '3->64 k9 p4 128', ci: 3, co: 64, size: [128, 128], k: 9, s: 1, p: 4 }),
];

const otherRanks = [
  transpose({ name: '1-D 512->256 k16 s8 p4 400->3200', ci: 512, co: 256, size: [400], k: 16, s: 8, p: 4 }),
  transpose({ name: '1-D 1->1 k1024 s256 512->131840', ci: 1, co: 1, size: [512], k: 1024, s: 256 }),
  transpose({ name: '3-D 256->128 k2 s2 16³->32³', ci: 256, co: 128, size: [16, 16, 16], k: 2, s: 2 }),
];

const tiny = [transpose({ name: '8->8 k4 s2 p1 8->16', ci: 8, co: 8, size: [8, 8], k: 4, s: 2, p: 1 })];

/** The suites by the names that `--only` takes; `cold` stands apart, in cold.mjs. @type {Record<string, Suite>} */
export const suites = {
  forward: {
    title: 'Transposed convolution, forward',
    task: 'forward',
    unit: 'GF/s',
    times: 1,
    problems: transposes,
  },
  conv: { title: 'Convolution, forward', task: 'forward', unit: 'GF/s', times: 1, problems: convs },
  backward: {
    title: 'Transposed convolution, gradients of input and weight',
    task: 'backward',
    unit: 'GF/s',
    times: 1,
    problems: transposes,
  },
  'conv-backward': {
    title: 'Convolution, gradients of input and weight',
    task: 'backward',
    unit: 'GF/s',
    times: 1,
    problems: convs,
  },
  ranks: {
    title: 'Transposed convolution over one and three axes, forward',
    task: 'forward',
    unit: 'GF/s',
    times: 1,
    problems: otherRanks,
  },
  tiny: { title: 'A tiny call, warm', task: 'forward', unit: 'µs', times: 100, problems: tiny },
};

/** The first projection of a fresh process. */
export const coldProblem = transposes[0];
