/**
 * random: streams of random numbers that depend on what they are for and on nothing else: neither on what was drawn before,
 * nor on what runs beside them.
 */
import { randomStream } from '../../ops/create.js';
import type { RandomStream } from '../draw.js';

/** The stream of a purpose, named by integers: (seed, epoch, index …). */
export function streamOf(...names: readonly number[]): RandomStream {
  // Each name is mixed in with the finaliser of MurmurHash3, which lets every bit change every other.
  let mixed = 0;
  for (const name of names) {
    mixed = Math.imul(mixed ^ (name | 0), 0x9e3779b1) + 0x7f4a7c15;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    mixed ^= mixed >>> 16;
  }
  return randomStream(mixed);
}

/** An integer in 0 … count − 1. */
export const integer = (random: RandomStream, count: number): number => Math.floor(random() * count);

/** 0 … count − 1 in random order (Fisher and Yates). */
export function permutation(random: RandomStream, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = integer(random, i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
