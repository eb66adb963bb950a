/**
 * tile: which register tile is fastest here. It depends on the engine more than on the processor (how many vector
 * registers it hands out, whether it fuses vectors to 256 bits), so a few candidates are tried for some milliseconds,
 * once per process, and held against plain arithmetic before one is used.
 */

import { type Build, type Code, encodeModule, splat } from './assembler.js';
import { kernelBuilds, kernelModule, type Tile } from './microkernels.js';
import * as wasm from './opcodes.js';
import { compile, host, instantiate, now, webAssembly } from './platform.js';

/** A tile, with what it does in the first-level cache, on one thread, in billions of floating-point operations per second. */
interface Candidate {
  readonly tile: Tile;
  /** Measures it: processors do not always go at one speed. */
  readonly run: () => number;
  /** The best of {@link TURNS} runs. */
  peak: number;
}

/** What was chosen, and from what. */
export interface Choice extends Readonly<Candidate> {
  readonly tried: readonly Readonly<Candidate>[];
}

/** A kernel is run for so long before it counts: at least, and at most while it has not become faster by this factor. */
export const WARM_MS = 2;
export const MOST_WARM_MS = 20;
/** Wide tiles are worth waiting for: they are asked for, and twice as fast. */
export const MOST_WARM_WIDE_MS = 100;
export const OPTIMISED = 0.6;
/**
 * Candidates are then timed in turns, so that what else the machine does falls on all of them, and the best turn of each
 * counts: noise only ever slows. One must be this much faster than another that stands before it.
 */
export const TURNS = 12;
export const CLEARLY = 1.08;

export const K = 128;
const [A_AT, B_AT, TABLE_AT, C_AT] = [4096, 16384, 32768, 49152];

const MEMORY = { initial: 1, maximum: 1, shared: false };

/** True when the engine compiles such code. */
const compiles = (...code: readonly Code[]): boolean =>
  host.WebAssembly?.validate(encodeModule(MEMORY, [['f', [], () => code]])) ?? false;

const hasRelaxed = () => compiles(splat(0), splat(0), splat(0), wasm.f32x4RelaxedMadd, wasm.drop);

/** True when the engine compiles SIMD at all. */
export const hasSimd = (): boolean => compiles(splat(0), splat(0), wasm.f32x4Add, wasm.drop);

/** Flops of a timed run of a kernel, about. */
export const RUN_FLOPS = 4e6;

/** A tile's kernel, compiled and warm: runs it once more and returns its speed. Undefined if it computes wrongly. */
export function warm(tile: Tile): (() => number) | undefined {
  const memory = new (webAssembly().Memory)(MEMORY);
  const { mr, nr } = tile;
  const build = kernelBuilds(tile).get(`gemm${mr}`) as Build;
  const { command: gemm } = instantiate(compile(kernelModule(build, MEMORY)), memory);
  const floats = new Float32Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  // Small integers, so that the sums are exact whatever the rounding.
  for (let k = 0; k < K; k++) {
    for (let r = 0; r < mr; r++) floats[A_AT / 4 + k * mr + r] = ((k * 7 + r * 3) % 11) - 5;
    for (let j = 0; j < nr; j++) floats[B_AT / 4 + k * nr + j] = ((k * 5 + j * 2) % 13) - 6;
    words[TABLE_AT / 4 + k] = 4 * nr * k;
  }
  const call = (times: number) => gemm(A_AT, B_AT, TABLE_AT, K, C_AT, 4 * nr, 1, times, 0, 0, 0, 1, 0, 0, 0);
  call(1);
  for (let r = 0; r < mr; r++) {
    for (let j = 0; j < nr; j++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += floats[A_AT / 4 + k * mr + r] * floats[B_AT / 4 + k * nr + j];
      if (floats[C_AT / 4 + r * nr + j] !== sum) return undefined;
    }
  }
  const flops = 2 * mr * nr * K;
  const batch = Math.ceil(RUN_FLOPS / flops);
  const timed = () => {
    const start = now();
    call(batch);
    return now() - start;
  };
  // Until the optimiser has the kernel, which on a busy machine takes it longer: optimised code is at least twice as fast
  // as what an engine begins with.
  const most = nr >= 16 ? MOST_WARM_WIDE_MS : MOST_WARM_MS;
  const began = now();
  const first = timed();
  let best = first;
  while (now() - began < WARM_MS || (best > OPTIMISED * first && now() - began < most)) {
    best = Math.min(best, timed());
  }
  return () => (flops * batch) / Math.max(timed(), 1e-3) / 1e6;
}

/** Tries the candidates and takes the fastest of those that compute rightly; undefined if there is none, as without SIMD. */
export function chooseTile(wide: boolean): Choice | undefined {
  if (!hasSimd()) return undefined;
  const relaxed = hasRelaxed();
  const sizes = [
    [6, 16],
    [6, 8],
    [4, 8],
  ];
  const tried = sizes.slice(wide ? 0 : 1).flatMap(([mr, nr]): Candidate[] => {
    const tile = { mr, nr, relaxed };
    const run = warm(tile);
    return run ? [{ tile, run, peak: 0 }] : [];
  });
  for (let turn = 0; turn < TURNS; turn++)
    for (const candidate of tried) candidate.peak = Math.max(candidate.peak, candidate.run());
  const [first, ...others] = tried;
  return first && { ...others.reduce((a, b) => (b.peak > CLEARLY * a.peak ? b : a), first), tried };
}
