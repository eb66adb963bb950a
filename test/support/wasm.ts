/**
 * wasm: opens the WebAssembly backend with a given register tile, and draws convolutions whose sizes lie around the
 * edges of that tile: one more and one less than its multiples, 1, kernels longer than the input, depthwise groups.
 */
import { expect } from 'vitest';
import type {
  Activation,
  Backend,
  FusedActivation,
  FusedConvAttributes,
  OpName,
  OpTable,
} from '../../packages/deconv/src/backend.js';
import type { ConvGeometry } from '../../packages/deconv/src/geometry/conv.js';
import { convGeometry, weightShapeOf, xShapeOf, yShapeOf } from '../../packages/deconv/src/geometry/conv.js';
import { tilingOf } from '../../packages/deconv/src/geometry/winograd.js';
import { reference } from '../../packages/deconv/src/kernels/reference/index.js';
import { CONTROL_AT } from '../../packages/deconv/src/kernels/wasm/commands.js';
import * as CONTROL from '../../packages/deconv/src/kernels/wasm/control.js';
import { WasmBackend } from '../../packages/deconv/src/kernels/wasm/index.js';
import type { WasmOperation } from '../../packages/deconv/src/kernels/wasm/loops/ground.js';
import type { Tile } from '../../packages/deconv/src/kernels/wasm/microkernels.js';
import { warm } from '../../packages/deconv/src/kernels/wasm/tile.js';
import * as operations from '../../packages/deconv/src/operations.js';
import { sizeOf } from '../../packages/deconv/src/shape.js';

export { reference };

/** The operation of this name, with its kernels. */
export function operationOf<K extends OpName>(name: K): WasmOperation<K> {
  const all: readonly unknown[] = Object.values(operations);
  const isIt = (operation: unknown): operation is WasmOperation<K> =>
    (operation as { readonly name: string }).name === name;
  return all.find(isIt) ?? expect.fail(`there is no operation ${name}`);
}

/** The three kernels. */
export const KERNELS = ['conv.forward', 'conv.inputGrad', 'conv.weightGrad'] as const;
export type Kernel = (typeof KERNELS)[number];

/** The tiles that the engine chooses among. */
export const TILES: readonly Tile[] = [
  { mr: 6, nr: 8, relaxed: false },
  { mr: 4, nr: 8, relaxed: false },
  { mr: 6, nr: 16, relaxed: false },
];

/** The backend with this tile; to be closed when threads were started. */
export function openWasm(
  tile: Tile = TILES[0],
  threads = 1,
  winograd = true,
  fallback: Backend = reference,
): WasmBackend {
  const run = warm(tile);
  if (run === undefined) throw new Error(`the kernel of ${tile.mr} × ${tile.nr} computes wrongly`);
  return new WasmBackend({ tile, run, peak: 0, tried: [] }, threads, winograd, fallback);
}

/** Helper threads of a backend that have come up, and are not lost. */
export function helpersUp({ engine: { heap, team } }: WasmBackend): number {
  const first = CONTROL_AT / 4 + CONTROL.taken + 1;
  return heap.integers.subarray(first, first + team.size - 1).filter((kernels) => kernels >= 0).length;
}

/** Uniform numbers in [0, 1) from a seed (Mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One convolution with its attributes. */
export type Case = FusedConvAttributes;

/** What a case is, for messages. */
export const show = (kernel: string, { geometry, ...rest }: Case): string =>
  `${kernel} ${JSON.stringify({ ...geometry, ...rest })}`;

/** Activations that turn small integers into numbers that float32 holds exactly. */
const RELU: Activation = { fn: 'clamp', parameters: [0, Number.POSITIVE_INFINITY] };
const ACTIVATIONS: readonly (FusedActivation | undefined)[] = [
  undefined,
  undefined,
  RELU,
  { fn: 'leakyRelu', parameters: [0.5] },
  { fn: 'clamp', parameters: [-2, 3] },
  { fn: 'prelu', parameters: [] },
];

/** A random convolution of at most `flops` operations. */
export function drawCase(random: () => number, { mr, nr }: Tile, flops: number): Case {
  const integer = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const pick = <T>(list: readonly T[]): T => list[integer(0, list.length - 1)];
  const around = (tile: number, most: number) => tile * integer(1, most) + integer(-1, 1);
  for (;;) {
    const rank = pick([1, 2, 2, 2, 3]);
    const axes = Array.from({ length: rank }, (_, axis) => {
      const k = pick([1, 1, 2, 3, 3, 4, 5, 7, 11]);
      const s = pick([1, 1, 2, 2, 3, 4]);
      // Dilations that share factors with the stride, and ones that do not.
      const d = pick([1, 1, 1, 2, 3, 4]);
      const last = axis === rank - 1;
      const out = pick([1, 2, integer(1, 6), last ? around(nr, rank === 1 ? 6 : 2) : integer(1, 9)]);
      const [before, after] = [integer(-3, 6), integer(-3, 6)];
      const rest = integer(0, s - 1);
      const n = (out - 1) * s + d * (k - 1) + 1 - before - after + rest;
      return { k, s, d, before, after, n };
    });
    const channels = () => pick([1, 1, 2, 3, around(mr, 2), around(nr, 1)]);
    const depthwise = random() < 0.15;
    const groups = depthwise ? channels() : pick([1, 1, 1, 2, 3]);
    const [inputs, outputs] = depthwise ? [1, pick([1, 1, 2])] : [channels(), channels()];
    if (axes.some(({ n }) => n < 1) || inputs < 1 || outputs < 1 || groups < 1) continue;
    const geometry = convGeometry(
      [pick([0, 1, 1, 1, 2, 3]), groups * inputs, ...axes.map(({ n }) => n)],
      [groups * outputs, inputs, ...axes.map(({ k }) => k)],
      {
        stride: axes.map(({ s }) => s),
        dilation: axes.map(({ d }) => d),
        padding: axes.map(({ before, after }) => [before, after] as const),
        groups,
      },
    );
    const work = Math.max(1, geometry.batch) * sizeOf(geometry.ySize) * sizeOf(weightShapeOf(geometry));
    if (2 * work > flops) continue;
    const split = groups === 1 && inputs > 1 && random() < 0.3 ? integer(1, inputs - 1) : undefined;
    return { geometry, ...drawEnding(random), split };
  }
}

/** What is done to the sums of a random convolution; unless `bounded`, nothing that makes the largest small. */
export function drawEnding(random: () => number, bounded = true): Omit<Case, 'geometry'> {
  const activations = ACTIVATIONS.filter((a) => bounded || a?.fn !== 'clamp' || a === RELU);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
  const [bias, average, residual] = [random() < 0.4, random() < 0.2, random() < 0.25];
  const before = random() < 0.2 ? pick([RELU, { fn: 'leakyRelu', parameters: [0.5] } as const]) : undefined;
  return residual
    ? { bias, average: false, residual, before, activation: pick([undefined, RELU]) }
    : { bias, average, before, activation: pick(activations) };
}

/** The numbers that a kernel of a case works on: two inputs, and the bias, slopes and residual if there are any. */
export function drawInputs(
  kernel: Kernel,
  { geometry: g, bias, average, activation, residual, split }: Case,
  value: () => number,
): Float32Array[] {
  const filled = (length: number) => Float32Array.from({ length }, value);
  const [x, w, y] = [xShapeOf(g), weightShapeOf(g), yShapeOf(g)].map(sizeOf);
  if (kernel === 'conv.weightGrad') return [filled(x), filled(y)];
  const [input, channels] = kernel === 'conv.forward' ? [x, g.yChannels] : [y, g.xChannels];
  const slopes = activation?.fn === 'prelu' && !average;
  const own = split !== undefined && kernel === 'conv.forward' ? (input / g.xChannels) * split : input;
  return [
    filled(own),
    filled(w),
    ...(bias ? [filled(channels)] : []),
    ...(slopes ? [filled(channels)] : []),
    ...(residual ? [filled(kernel === 'conv.forward' ? y : x)] : []),
    ...(own < input ? [filled(input - own)] : []),
  ];
}

/**
 * How far results for small integers may be off, relative to the largest: averages divide, by a reciprocal here, once more than in
 * the reference; and the matrices of Winograd's form round where tiles are of more than four inputs.
 */
export function roundingOf(kernel: Kernel, { geometry, average }: Case): number {
  const tiling =
    kernel === 'conv.weightGrad' ? undefined : tilingOf(geometry, kernel === 'conv.inputGrad', average);
  const inputs = tiling?.form.inputs ?? 0;
  if (inputs > 4) return inputs === 8 ? 1e-5 : 4e-6;
  return average && kernel === 'conv.inputGrad' ? 4e-7 : 0;
}

/** Terms of the longest sum. */
export function termsOf(kernel: Kernel, g: ConvGeometry): number {
  if (kernel === 'conv.weightGrad') return Math.max(1, g.batch * sizeOf(g.ySize));
  const channels = kernel === 'conv.forward' ? g.xChannels : g.yChannels;
  return (channels / g.groups) * sizeOf(g.kernelSize);
}

/** Runs a kernel on a backend. */
export function runKernel(
  backend: Pick<WasmBackend, 'upload' | 'run'>,
  kernel: Kernel,
  { geometry, bias, average, activation, residual, split, before }: Case,
  inputs: readonly Float32Array[],
): Float32Array {
  const storages = inputs.map((values) => backend.upload(Float32Array.from(values)));
  const run = <K extends OpName>(name: K, attributes: OpTable[K]) =>
    backend.run(operationOf(name), storages, attributes).host() as Float32Array;
  if (kernel === 'conv.weightGrad') return run(kernel, { geometry, bias: false, average: false });
  const shared = { geometry, bias, average: average && kernel === 'conv.inputGrad' };
  // Averages are activated by an operation of their own.
  const ending = average ? undefined : activation;
  const parted = kernel === 'conv.forward' && inputs[0].length < sizeOf(xShapeOf(geometry));
  if (!residual && before === undefined && !parted && ending?.fn !== 'prelu' && ending?.fn !== 'own')
    return run(kernel, { ...shared, activation: ending });
  const fused = { residual, before, split: parted ? split : undefined, activation: ending };
  return run(`${kernel}Fused`, { ...shared, ...fused });
}

/** Index of the first difference beyond `bound`, or −1. NaN is only like NaN, an infinity like itself. */
function firstDifference(a: Float32Array, b: Float32Array, bound: number): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  return a.findIndex(
    (value, i) =>
      !(value === b[i] || Math.abs(value - b[i]) <= bound || (Number.isNaN(value) && Number.isNaN(b[i]))),
  );
}

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return most;
}

/** Fails unless a backend gives what the reference gives, to `relative` of the largest magnitude. */
export function compare(
  kernel: Kernel,
  c: Case,
  inputs: Float32Array[],
  backend: WasmBackend,
  relative: number,
): void {
  const expected = runKernel(reference, kernel, c, inputs);
  const result = runKernel(backend, kernel, c, inputs);
  const at = firstDifference(result, expected, relative * largest(expected));
  if (at >= 0) {
    expect.fail(`${show(kernel, c)}: element ${at} is ${result[at]}, must be ${expected[at]}`);
  }
}
