/**
 * problem: forward and inputGrad as one dense problem, ready to be tiled.
 *
 * Both compute, for each output channel o and each *phase*, over a grid of positions b,
 *
 *     out[o, t·(b − lead) + start] = Σ x[i, s·b + δ] · w[tap]
 *
 * where the taps and their offsets δ depend on the phase alone. A convolution has one phase, s = stride and t = 1. A
 * transposed convolution has s = 1, t = stride and, per axis, `stride` phases: the outputs of one residue, which see
 * every stride-th tap. No zero is inserted, no column matrix made: each phase is a small dense convolution.
 *
 * Phases with the same offsets are merged into one *class*: their output channels become more rows of the same matrix
 * product. With few output channels that is what keeps the register tile full.
 */
import type { Activation } from '../../backend.js';
import type { ConvGeometry } from '../../geometry/conv.js';
import { type Axes, inThreeAxes, type Triple } from '../../geometry/three-axes.js';
import { range, sizeOf } from '../../shape.js';

export type { Triple };

/** One residue of the output along one axis. */
export interface Phase {
  /** First output position. */
  readonly start: number;
  /** Number of outputs. */
  readonly count: number;
  /** Grid position of the first output within its class. */
  readonly lead: number;
  /** Kernel index of the first tap of the class; further taps are the class's `steps` away. */
  readonly tap: number;
}

/** Phases of one axis that see the input at the same offsets. */
export interface AxisClass {
  readonly offsets: readonly number[];
  /** Kernel index of each tap less that of the first. */
  readonly steps: readonly number[];
  readonly phases: readonly Phase[];
  /** Grid length: the largest lead + count. */
  readonly count: number;
}

/** A dense problem over three axes (missing ones have length 1), for one picture and one group. */
export interface Problem {
  readonly inChannels: number;
  /** So many of them lie in the input, the others in a second one. */
  readonly split?: number | undefined;
  /** What the input goes through first. */
  readonly before?: Activation | undefined;
  readonly outChannels: number;
  readonly inSize: Triple;
  readonly outSize: Triple;
  readonly kernelSize: Triple;
  /** Step of the input per grid position. */
  readonly inStride: Triple;
  /** Step of the output per grid position. */
  readonly outStride: Triple;
  readonly classes: readonly [readonly AxisClass[], readonly AxisClass[], readonly AxisClass[]];
  /** Weight element (o, i, tap) lies at o·weightOut + i·weightIn + tap. */
  readonly weightOut: number;
  readonly weightIn: number;
}

function forwardAxis(out: number, k: number, d: number, pb: number): AxisClass[] {
  const steps = range(k);
  const phases = [{ start: 0, count: out, lead: 0, tap: 0 }];
  return [{ offsets: steps.map((u) => u * d - pb), steps, phases, count: out }];
}

/**
 * Residue r of q = o + pb is reached by the taps u with u·d ≡ r (mod s), from input b + (r − u·d)/s where q = s·b + r.
 * With `align` all residues share one grid, so that more of them fall into one class; else each has its own, exact one.
 */
function transposedAxis(
  out: number,
  k: number,
  s: number,
  d: number,
  pb: number,
  align: boolean,
): AxisClass[] {
  const found = new Map<string, { offsets: number[]; steps: number[]; phases: Phase[]; count: number }>();
  const common = Math.ceil((pb - s + 1) / s);
  for (let r = 0; r < s; r++) {
    const first = Math.ceil((pb - r) / s);
    const start = s * first + r - pb;
    const count = Math.floor((out - 1 - start) / s) + 1;
    if (count <= 0) continue;
    const origin = align ? common : first;
    const taps: number[] = [];
    for (let u = 0; u < k; u++) if ((((u * d - r) % s) + s) % s === 0) taps.push(u);
    const offsets = taps.map((u) => (r - u * d) / s + origin);
    const lead = first - origin;
    const key = align ? offsets.join() : `${offsets.join()}:${count}`;
    const entry = found.get(key) ?? { offsets, steps: taps.map((u) => u - taps[0]), phases: [], count: 0 };
    entry.phases.push({ start, count, lead, tap: taps[0] ?? 0 });
    entry.count = Math.max(entry.count, lead + count);
    found.set(key, entry);
  }
  return [...found.values()];
}

/** The axes of a convolution; a single one for a kernel of one tap that changes no size: no row of it has an end. */
function axesOf(g: ConvGeometry): Axes {
  const pointwise = g.kernelSize.every(
    (k, a) => k === 1 && g.stride[a] === 1 && g.padBefore[a] === 0 && g.xSize[a] === g.ySize[a],
  );
  if (!pointwise) return g;
  const size = [sizeOf(g.xSize)];
  return { xSize: size, ySize: size, kernelSize: [1], stride: [1], dilation: [1], padBefore: [0] };
}

/** y = conv(x, w) per picture and group. */
export function forwardProblem(g: ConvGeometry): Problem {
  const [xSize, ySize, kernelSize, stride, dilation, padBefore] = inThreeAxes(axesOf(g));
  const axis = (a: 0 | 1 | 2) => forwardAxis(ySize[a], kernelSize[a], dilation[a], padBefore[a]);
  const taps = sizeOf(kernelSize);
  const inChannels = g.xChannels / g.groups;
  return {
    inChannels,
    outChannels: g.yChannels / g.groups,
    inSize: xSize,
    outSize: ySize,
    kernelSize,
    inStride: stride,
    outStride: [1, 1, 1],
    classes: [axis(0), axis(1), axis(2)],
    weightOut: inChannels * taps,
    weightIn: taps,
  };
}

/**
 * A product of matrices, (m, k) · (k, n): a convolution with a kernel of one tap from k to m channels over a picture of n positions,
 * whose weight is the left operand, stored `transposed` perhaps.
 */
export function matrixProblem(m: number, n: number, k: number, transposed = false): Problem {
  const none = { kernelSize: [1, 1, 1], inStride: [1, 1, 1], outStride: [1, 1, 1] } as const;
  const single = forwardAxis(1, 1, 1, 0);
  const size = [1, 1, n] as const;
  return {
    ...none,
    inChannels: k,
    outChannels: m,
    inSize: size,
    outSize: size,
    classes: [single, single, forwardAxis(n, 1, 1, 0)],
    weightOut: transposed ? 1 : k,
    weightIn: transposed ? m : 1,
  };
}

/** Rows of a class below which phases are put on one grid, to have more rows in one product. */
export const FEW_ROWS = 12;

/** x = convTranspose(y, w) per picture and group. With `together`, phases are on one grid however many rows there are. */
export function inputGradProblem(g: ConvGeometry, together = false): Problem {
  const [xSize, ySize, kernelSize, stride, dilation, padBefore] = inThreeAxes(axesOf(g));
  const axes = (align: boolean) =>
    ([0, 1, 2] as const).map((a) =>
      transposedAxis(xSize[a], kernelSize[a], stride[a], dilation[a], padBefore[a], align),
    );
  const taps = sizeOf(kernelSize);
  const outChannels = g.xChannels / g.groups;
  let [z, y, x] = axes(false);
  const largest = [z, y, x].reduce(
    (n, list) => n * Math.max(...list.map((c) => c.phases.length)),
    outChannels,
  );
  if (together || largest < FEW_ROWS) [z, y, x] = axes(true);
  return {
    inChannels: g.yChannels / g.groups,
    outChannels,
    inSize: ySize,
    outSize: xSize,
    kernelSize,
    inStride: [1, 1, 1],
    outStride: stride,
    classes: [z, y, x],
    weightOut: taps,
    weightIn: outChannels * taps,
  };
}
