/**
 * protocol: how everything is timed, in Node and in a page alike. The contenders of a problem take turns (A B C A B C …)
 * in one go, so that whatever else the machine does falls on all of them; each is warmed up first; the median of the
 * turns counts. Results are compared before any timing.
 *
 * @typedef {object} Timing of one call
 * @property {number} ms until the values are in a typed array
 * @property {number} [alone] until the call returned, if that is earlier; in ms
 *
 * @typedef {object} Prepared a contender ready to run one problem
 * @property {(times: number) => Promise<Timing>} run
 * @property {() => Promise<Float32Array[]>} result the output, or the two gradients, channels second
 * @property {() => unknown} [release]
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {string} [detail] what is in force: threads, tile …
 * @property {(problem: import('./problem.mjs').Problem, data: import('./problem.mjs').Data, task: import('./problem.mjs').Task) => Promise<Prepared>} prepare
 *   throws {@link NotAvailable} where the library has no such operation
 *
 * @typedef {object} Entry
 * @property {number} [ms] median of one call
 * @property {number} [alone]
 * @property {number} [low] quartiles, in ms
 * @property {number} [high]
 * @property {number} [runs]
 * @property {number} [difference] from deconv's values: largest, relative to the largest magnitude
 * @property {string} [note] why there is no time
 *
 * @typedef {object} Protocol
 * @property {number} runs turns per contender
 * @property {number} warmups
 * @property {number} slow a call of more ms than this gets `slowRuns` turns, one of more than five times it only its first
 * @property {number} slowRuns
 * @property {number} pause ms before each turn, in which a peer's spinning threads go to sleep
 */
import { dataOf } from './problem.mjs';

/** The library cannot do this; the message says why, for the table. */
export class NotAvailable extends Error {}

/** @type {Protocol} */
export const full = { runs: 20, warmups: 2, slow: 2000, slowRuns: 3, pause: 50 };
/** For trying the bench itself. @type {Protocol} */
export const quick = { runs: 5, warmups: 2, slow: 200, slowRuns: 1, pause: 50 };

/** Differences above this are wrong results, not rounding. */
export const TOLERANCE = 1e-4;

/** @param {number[]} values @param {number} fraction */
export function quantile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(at)];
  return below + (sorted[Math.ceil(at)] - below) * (at % 1);
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** max|a − b| / max|b|; infinite where the lengths differ or a value is no number. @param {Float32Array[]} got @param {Float32Array[]} wanted */
function difference(got, wanted) {
  let worst = 0;
  for (const [which, b] of wanted.entries()) {
    const a = got[which];
    if (a?.length !== b.length) return Number.POSITIVE_INFINITY;
    let largest = 0;
    let apart = 0;
    for (let i = 0; i < b.length; i++) {
      largest = Math.max(largest, Math.abs(b[i]));
      apart = Math.max(apart, Math.abs(a[i] - b[i]));
    }
    if (!(apart <= largest)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, apart / largest);
  }
  return worst;
}

/**
 * Times one problem on all contenders, deconv first among them.
 *
 * @param {Contender[]} contenders
 * @param {import('./problem.mjs').Problem} problem
 * @param {{ task: import('./problem.mjs').Task, times: number }} suite
 * @param {Protocol} protocol
 * @returns {Promise<Record<string, Entry>>}
 */
export async function race(contenders, problem, { task, times }, protocol) {
  const data = dataOf(problem);
  /** @type {Record<string, Entry>} */
  const entries = {};
  /** @type {{ name: string, prepared: Prepared, turns: number, ms: number[], alone: number[] }[]} */
  const racers = [];
  /** @type {Float32Array[] | undefined} */
  let wanted;
  for (const { name, prepare } of contenders) {
    await sleep(protocol.pause);
    try {
      const prepared = await prepare(problem, data, task);
      const began = performance.now();
      const result = await prepared.result();
      const first = performance.now() - began;
      wanted ??= result;
      entries[name] = { difference: difference(result, wanted) };
      if (first > 5 * protocol.slow) {
        racers.push({ name, prepared, turns: 0, ms: [first], alone: [] });
        continue;
      }
      const { ms } = await prepared.run(times);
      const turns = ms * times > protocol.slow ? Math.min(protocol.slowRuns, protocol.runs) : protocol.runs;
      // The result above was the first warm-up, this timing the second; a slow call gets no more of them.
      for (let i = 2; i < protocol.warmups && turns === protocol.runs; i++) await prepared.run(times);
      racers.push({ name, prepared, turns, ms: [], alone: [] });
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error;
      entries[name] = { note: error.message };
    }
  }
  for (let turn = 0; turn < protocol.runs; turn++) {
    for (const { prepared, turns, ms, alone } of racers) {
      if (turn >= turns) continue;
      await sleep(protocol.pause);
      // Not timed: it wakes the contender's own threads and fills the caches, as the call before does in a stream.
      if (turns === protocol.runs) await prepared.run(times);
      const timing = await prepared.run(times);
      ms.push(timing.ms);
      if (timing.alone !== undefined) alone.push(timing.alone);
    }
  }
  for (const { name, prepared, ms, alone } of racers) {
    Object.assign(entries[name], {
      ms: quantile(ms, 0.5),
      ...(alone.length > 0 ? { alone: quantile(alone, 0.5) } : {}),
      low: quantile(ms, 0.25),
      high: quantile(ms, 0.75),
      runs: ms.length,
    });
    await prepared.release?.();
  }
  return entries;
}
