/**
 * tile: which register tile is fastest here. It depends on the engine more than on the processor (how many vector
 * registers it hands out, whether it fuses vectors to 256 bits), so a few candidates are tried for some milliseconds,
 * once per process, and held against plain arithmetic before one is used.
 */
import { ModuleBuilder } from './assembler.js';
import { gemmModule, type Tile } from './microkernels.js';
import { host, webAssembly } from './platform.js';

/** What the choice was and what it was made from. */
export interface Choice {
  readonly tile: Tile;
  /** Billions of floating-point operations per second of the tile, in the first-level cache, one thread. */
  readonly peak: number;
  /** Every candidate with its figure. */
  readonly tried: readonly { readonly tile: Tile; readonly peak: number }[];
}

/** A kernel is run for so long before it counts: at least, and at most while it has not become faster by this factor. */
const WARM_MS = 3;
const MOST_WARM_MS = 20;
/** Wide tiles are worth waiting for: they are asked for, and twice as fast. */
const MOST_WARM_WIDE_MS = 100;
const OPTIMISED = 0.6;

const K = 128;
const [A_AT, B_AT, TABLE_AT, C_AT] = [4096, 16384, 32768, 49152];

/** True when the engine compiles relaxed SIMD. */
function hasRelaxed(): boolean {
  const m = new ModuleBuilder({ initial: 1, maximum: 1, shared: false });
  m.func('f', [], (f) => f.splat(0).splat(0).splat(0).op('f32x4.relaxed_madd').op('drop'));
  return webAssembly().validate(m.bytes());
}

/** True when the engine compiles SIMD at all. */
export function hasSimd(): boolean {
  if (host.WebAssembly === undefined) return false;
  const m = new ModuleBuilder({ initial: 1, maximum: 1, shared: false });
  m.func('f', [], (f) => f.splat(0).splat(0).op('f32x4.add').op('drop'));
  return host.WebAssembly.validate(m.bytes());
}

const now = (): number =>
  (globalThis as { performance?: { now(): number } }).performance?.now() ?? Date.now();

/** Runs a tile's kernel on numbers whose product is known; returns its speed, or 0 if it computes wrongly. */
function measure(tile: Tile): number {
  const { Memory, Module, Instance } = webAssembly();
  const limits = { initial: 1, maximum: 1, shared: false };
  const memory = new Memory(limits);
  const { mr, nr } = tile;
  const { gemm } = new Instance(new Module(gemmModule(tile, limits)), { env: { memory } }).exports;
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
      if (floats[C_AT / 4 + r * nr + j] !== sum) return 0;
    }
  }
  const flops = 2 * mr * nr * K;
  const batch = Math.max(1, Math.round(4e6 / flops));
  const timed = () => {
    const start = now();
    call(batch);
    return now() - start;
  };
  // Until the optimiser has the kernel, which on a busy machine takes it longer: optimised code is at least twice as fast
  // as what an engine begins with. Then a few short runs of which the best counts: noise only ever slows.
  const most = nr >= 16 ? MOST_WARM_WIDE_MS : MOST_WARM_MS;
  const warm = now();
  const first = timed();
  let best = first;
  while (now() - warm < WARM_MS || (best > OPTIMISED * first && now() - warm < most)) {
    best = Math.min(best, timed());
  }
  for (let i = 0; i < 4; i++) best = Math.min(best, timed());
  return (flops * batch) / Math.max(best, 1e-3) / 1e6;
}

/** Tries the candidates and takes the fastest that computes rightly; undefined without SIMD. */
export function chooseTile(wide: boolean): Choice | undefined {
  if (!hasSimd()) return undefined;
  const relaxed = hasRelaxed();
  const candidates: Tile[] = [
    { mr: 6, nr: 8, relaxed },
    { mr: 4, nr: 8, relaxed },
  ];
  if (wide) candidates.unshift({ mr: 6, nr: 16, relaxed });
  return tryTiles(candidates);
}

/** The fastest of the candidates that compute rightly; undefined where none does. */
export function tryTiles(candidates: readonly Tile[]): Choice | undefined {
  if (!hasSimd()) return undefined;
  const able = candidates.filter(({ relaxed }) => !relaxed || hasRelaxed());
  const tried = able.map((tile) => ({ tile, peak: measure(tile) })).filter(({ peak }) => peak > 0);
  if (tried.length === 0) return undefined;
  const best = tried.reduce((a, b) => (b.peak > a.peak ? b : a));
  return { ...best, tried };
}
