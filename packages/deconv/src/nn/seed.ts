/**
 * seed: where layers get their random numbers from. Every layer that draws any takes a seed of its own when it is made:
 * the one in its options, or else the next of a sequence that {@link manualSeed} starts. So two layers made one after
 * the other differ, the same program makes the same network, and the numbers of a layer depend neither on when it is
 * first called nor on what the others draw.
 */
import { randomStream } from '../ops/create.js';
import { readCount, type SeedOption } from './options.js';

let seeds = /* @__PURE__ */ randomStream(0);

/**
 * Starts the sequence of seeds anew: layers made in the same order after it get the same numbers.
 *
 * @param seed integer; before the first call the sequence is that of seed 0
 * @throws DeconvError for anything but an integer
 * @example
 * ```ts
 * import { equal } from 'deconv';
 * import { Linear, manualSeed } from 'deconv/nn';
 * manualSeed(7);
 * const [a, b] = [new Linear(1, 1), new Linear(1, 1)];
 * manualSeed(7);
 * const c = new Linear(1, 1);
 * console.log(equal(a.weight, c.weight).item(), equal(a.weight, b.weight).item()); // 1 0
 * ```
 */
export function manualSeed(seed: number): void {
  seeds = randomStream(seed);
}

/** The seed of the layer being made: its own, if it was given one. */
export function layerSeed(op: string, { seed }: SeedOption): number {
  return seed === undefined
    ? Math.floor(seeds() * 2 ** 32)
    : readCount(op, 'seed', seed, Number.NEGATIVE_INFINITY);
}
