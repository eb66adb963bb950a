/**
 * verification: random layers, computed twice: in float32 by the engine, and in float64, which the library leaves to its
 * plain loops that are the definition. The two may differ by what float32 rounds: 1e-5·√K of the largest output, where
 * K is the number of terms of the longest sum.
 */
import {
  type ConvTransposeOptions,
  cast,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  grad,
  randn,
  type Tensor,
} from 'deconv';

/** The three kernels, by the operation that runs them. */
export const KERNELS = ['conv', 'convTranspose', 'weight gradient'] as const;
export type Kernel = (typeof KERNELS)[number];

/** One layer, and the seed of its numbers. */
export interface Case {
  readonly kernel: Kernel;
  /** (batch, channels, …space) of what goes in. */
  readonly input: readonly number[];
  readonly weight: readonly number[];
  readonly bias: boolean;
  readonly options: {
    readonly stride: readonly number[];
    readonly dilation: readonly number[];
    readonly padding: readonly (readonly [number, number])[];
    readonly groups: number;
    readonly outputPadding?: readonly number[];
    readonly overlap?: 'sum' | 'average';
  };
  readonly seed: number;
}

const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);

/** Uniform integers from a seed (Mulberry32). */
function integers(seed: number): (from: number, to: number) => number {
  let state = seed | 0;
  return (from, to) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return from + Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (to - from + 1));
  };
}

/** Operations of a layer: small ones are many and try every edge, large ones are shared among threads. */
const [SMALL, LARGE] = [1e6, 2.5e7];

/** Register tiles that the engine chooses among: rows, and floats to a row. */
const [ROWS, FLOATS] = [
  [4, 6],
  [8, 16],
] as const;

/**
 * The layer of this number in the sequence of a seed. Sizes lie around multiples of the register tile, where kernels go
 * wrong if they do; of any of the tiles, so that the sequence is the same whichever is in use.
 */
export function drawCase(seed: number, number: number): Case {
  const integer = integers(Math.imul(seed + 1, 0x9e3779b1) ^ number);
  const pick = <T>(list: readonly T[]): T => list[integer(0, list.length - 1)];
  const around = (tile: number, most: number) => tile * integer(1, most) + integer(-1, 1);
  const large = number % 10 === 9;
  if (number % 10 === 4) return drawTiled(integer);
  const [rows, floats] = [pick(ROWS), pick(FLOATS)];
  for (;;) {
    const rank = pick([1, 2, 2, 2, 3]);
    const transposed = pick([true, false]);
    const axes = Array.from({ length: rank }, () => {
      const [k, s, d] = [pick([1, 2, 3, 3, 4, 5, 7, 11]), pick([1, 1, 2, 2, 3, 4]), pick([1, 1, 1, 2, 3])];
      const [before, after] = [integer(-2, 5), integer(-2, 5)];
      const y = large ? integer(8, rank === 1 ? 4000 : 48) : pick([1, 2, integer(1, 9), around(floats, 3)]);
      const outputPadding = integer(0, Math.max(s, d) - 1);
      const x = (y - 1) * s + d * (k - 1) + 1 - before - after + outputPadding;
      return { k, s, d, before, after, outputPadding, n: transposed ? y : x, out: transposed ? x : y };
    });
    const channels = () => (large ? integer(1, 64) : pick([1, 2, 3, around(rows, 2), around(floats, 1)]));
    const depthwise = integer(1, 7) === 1;
    const groups = depthwise ? channels() : pick([1, 1, 1, 2, 3]);
    const [inputs, outputs] = depthwise ? [1, 1] : [channels(), channels()];
    if (Math.min(inputs, outputs, groups, ...axes.flatMap(({ n, out }) => [n, out])) < 1) continue;
    const batch = pick([1, 1, 2, 3]);
    const kernelSize = axes.map(({ k }) => k);
    const positions = product(axes.map(({ n, out }) => (transposed ? n : out)));
    const flops = 2 * batch * groups * inputs * outputs * product(kernelSize) * positions;
    if (flops > (large ? LARGE : SMALL) || (large && flops < SMALL)) continue;
    return {
      kernel: pick([transposed ? 'convTranspose' : 'conv', 'weight gradient']),
      input: [batch, groups * inputs, ...axes.map(({ n }) => n)],
      weight: [groups * (transposed ? inputs : outputs), transposed ? outputs : inputs, ...kernelSize],
      bias: integer(0, 1) === 1,
      options: {
        stride: axes.map(({ s }) => s),
        dilation: axes.map(({ d }) => d),
        padding: axes.map(({ before, after }) => [before, after] as const),
        groups,
        ...(transposed
          ? { outputPadding: axes.map((a) => a.outputPadding), overlap: pick(['sum', 'sum', 'average']) }
          : {}),
      },
      seed: integer(1, 2 ** 30),
    };
  }
}

/** A layer of a kind that the engine computes tile by tile, in Winograd's form: such need channels, and positions. */
function drawTiled(integer: (from: number, to: number) => number): Case {
  const pick = <T>(list: readonly T[]): T => list[integer(0, list.length - 1)];
  const transposed = pick([true, false]);
  const [k, s] = pick<readonly [number, number]>(
    transposed
      ? [
          [3, 1],
          [4, 2],
          [5, 2],
          [6, 3],
        ]
      : [
          [3, 1],
          [2, 1],
          [4, 2],
          [6, 2],
        ],
  );
  const d = s === 1 ? pick([1, 1, 2]) : 1;
  const padding = [0, 1].map(() => [integer(-1, 3), integer(-1, 3)] as const);
  const [inputs, outputs, groups] = [integer(16, 40), integer(16, 40), pick([1, 1, 2])];
  return {
    kernel: transposed ? 'convTranspose' : 'conv',
    input: [pick([1, 2]), groups * inputs, integer(30, 60), integer(30, 60)],
    weight: [groups * (transposed ? inputs : outputs), transposed ? outputs : inputs, k, k],
    bias: integer(0, 1) === 1,
    options: {
      stride: [s, s],
      dilation: [d, d],
      padding,
      groups,
      ...(transposed ? { outputPadding: [0, 0], overlap: pick(['sum', 'sum', 'average']) } : {}),
    },
    seed: integer(1, 2 ** 30),
  };
}

/** Terms of the longest sum of a case. */
export function termsOf({ kernel, input, weight, options }: Case): number {
  if (kernel !== 'weight gradient') return (input[1] / options.groups) * product(weight.slice(2));
  // Each weight meets every picture at every position of the smaller side.
  const { stride, dilation, padding, outputPadding } = options;
  const positions = input.slice(2).map((n, axis) => {
    if (outputPadding !== undefined) return n;
    const extent = dilation[axis] * (weight[axis + 2] - 1) + 1;
    return Math.floor((n + padding[axis][0] + padding[axis][1] - extent) / stride[axis]) + 1;
  });
  return input[0] * product(positions);
}

/** Computes a case in one number type. */
export function compute(c: Case, dtype: 'float32' | 'float64'): Tensor {
  const { options, weight: shape, seed } = c;
  const transposed = options.outputPadding !== undefined;
  // The same numbers in both types: those that float32 can hold.
  const made = (size: readonly number[], offset: number) => {
    const values = randn(size, { seed: seed + offset });
    return dtype === 'float64' ? cast(values, dtype) : values;
  };
  const x = made(c.input, 0);
  const w = made(shape, 1);
  const channels = transposed ? shape[1] * options.groups : shape[0];
  const more = c.bias ? { bias: made([channels], 2) } : {};
  const rank = c.input.length - 3;
  const run = (weight: Tensor) =>
    transposed
      ? [convTranspose1d, convTranspose2d, convTranspose3d][rank](x, weight, {
          ...options,
          ...more,
        } as ConvTransposeOptions)
      : [conv1d, conv2d, conv3d][rank](x, weight, { ...options, ...more });
  if (c.kernel !== 'weight gradient') return run(w);
  w.requiresGrad = true;
  const y = run(w);
  return grad(y, [w], { gradOutput: made(y.shape, 3) })[0];
}

/** Where two results differ most. */
export interface Difference {
  /** |a − b| of the largest |b|; Infinity where one is no number and the other is. */
  readonly relative: number;
  /** Place of the worst element. */
  readonly index: readonly number[];
  readonly got: number;
  readonly expected: number;
  readonly tolerance: number;
}

/** Holds a result against the one that it must be. */
export function differenceOf(result: Tensor, expected: Tensor, terms: number): Difference {
  if (result.shape.join() !== expected.shape.join()) {
    throw new Error(`a result of shape [${result.shape}] must have [${expected.shape}]`);
  }
  const [a, b] = [result.data, expected.data];
  let [largest, worst, at] = [0, -1, 0];
  for (let i = 0; i < b.length; i++) {
    largest = Math.max(largest, Math.abs(b[i]));
    const distance = Number.isFinite(a[i]) ? Math.abs(a[i] - b[i]) : Number.POSITIVE_INFINITY;
    if (distance > worst) [worst, at] = [distance, i];
  }
  const index: number[] = [];
  let rest = at;
  for (const length of [...expected.shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  const relative = worst <= 0 ? 0 : worst / largest;
  return { relative, index, got: a[at], expected: b[at], tolerance: 1e-5 * Math.sqrt(terms) };
}
