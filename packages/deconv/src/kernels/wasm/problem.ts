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
import type { ConvGeometry } from '../../geometry/conv.js';
import { type Axes, inThreeAxes, type Triple } from '../../geometry/three-axes.js';
import { range, sizeOf } from '../../shape.js';
import type { Storage } from '../../tensor.js';
import type { Ending } from './activations.js';
import type { Bases, Commands, Place, PlanBuilder } from './commands.js';
import type { Engine } from './engine.js';
import type { Tile } from './microkernels.js';
import { remembered } from './remembered.js';
import type { Residency } from './storage.js';

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
  /** What else goes into it. */
  readonly fusion?: Fusion | undefined;
  readonly outChannels: number;
  readonly inSize: Triple;
  readonly outSize: Triple;
  readonly kernelSize: Triple;
  /** Step of the input per grid position. */
  readonly inStride: Triple;
  /** Step of the output per grid position. */
  readonly outStride: Triple;
  readonly classes: readonly (readonly AxisClass[])[];
  /** Weight element (o, i, tap) lies at o·weightOut + i·weightIn + tap. */
  readonly weightOut: number;
  readonly weightIn: number;
}

/** What plans are made with, and run on. */
export interface Machine {
  readonly tile: Tile;
  readonly commands: Commands;
  /** Threads that share the work; what is shared by all may be larger for more. Default 1. */
  readonly threads?: number;
}

/**
 * What goes into a convolution besides data, weight and bias. Plans of plain ones have none; those of others ask theirs, so that all
 * this comes along only with who uses it (fusion.ts).
 */
export interface Fusion {
  /** Tells it from others. */
  readonly key: string;
  /** Whether the input cannot be read where it lies. */
  readonly padded: boolean;
  /** An engine with its own commands, too. */
  machine(engine: Engine): Machine;
  /** Adds the addresses of the further inputs. */
  place(addresses: Bases, inputs: readonly Storage[], residency: Residency): void;
  /** Moves the bases of the further inputs with those of the others, to a picture and group. */
  move(moves: Bases, p: Problem, picture: number): void;
  /**
   * Where `count` channels of a picture, from one of `all` on, lie: base, and number of the channel from there; which of them that is,
   * and for how many.
   */
  parts(
    picture: number,
    all: number,
    from: number,
    count: number,
  ): readonly (readonly [base: number, channel: number, first: number, count: number])[];
  /** Appends what is done to so many rows of the padded input, which lie one after the other. */
  prepare(list: PlanBuilder, rows: number, floats: number): void;
  /** What the kernels are called that store to this place of the output, behind their usual names, and what they take in addition. */
  stored(to: number): readonly [suffix: string, ...Place[]];
}

/** What is done to sums. */
export interface Finish {
  /** There is a bias. */
  readonly bias?: boolean;
  /** Outputs are multiplied by a plane of factors; not together with an activation. */
  readonly average?: boolean;
  readonly activation?: Ending | undefined;
}

/**
 * Residue r of q = o + pb is reached by the taps u with u·d ≡ r (mod s), from input b + (r − u·d)/s where q = s·b + r.
 * With `align` all residues share one grid, so that more of them fall into one class; else each has its own, exact one.
 *
 * With stride 1 that is a convolution, too, whose taps go the other way: of dilation −d and padding −pb.
 */
function classesOf(
  out: number,
  k: number,
  s: number,
  d: number,
  pb: number,
  align: boolean,
): readonly AxisClass[] {
  const found = new Map<string, { offsets: number[]; steps: number[]; phases: Phase[]; count: number }>();
  for (const r of range(s)) {
    const first = Math.ceil((pb - r) / s);
    const start = s * first + r - pb;
    const count = Math.floor((out - 1 - start) / s) + 1;
    if (count <= 0) continue;
    const origin = align ? Math.ceil((pb - s + 1) / s) : first;
    const lead = first - origin;
    const taps = range(k).filter((u) => (u * d - r) % s === 0);
    const offsets = taps.map((u) => (r - u * d) / s + origin);
    const [tap = 0] = taps;
    const own = remembered(found, `${offsets}:${align ? 0 : count}`, () => {
      const steps = taps.map((u) => u - tap);
      return { offsets, steps, phases: [], count: 0 };
    });
    own.phases.push({ start, count, lead, tap });
    own.count = Math.max(own.count, lead + count);
  }
  return [...found.values()];
}

/** The axes of a kernel of one tap over a picture of so many positions. */
const pointwise = (positions: number): Axes => {
  const size = [positions];
  return { xSize: size, ySize: size, kernelSize: [1], stride: [1], dilation: [1], padBefore: [0] };
};

/** The axes of a convolution; a single one for a kernel of one tap that changes no size: no row of it has an end. */
const axesOf = (g: Axes): Axes =>
  g.kernelSize.every(
    (k, a) => k === 1 && g.stride[a] === 1 && g.padBefore[a] === 0 && g.xSize[a] === g.ySize[a],
  )
    ? pointwise(sizeOf(g.xSize))
    : g;

/** Length of the output grid per axis. */
export const gridOf = (p: Problem): number[] =>
  p.classes.map((classes) => Math.max(1, ...classes.map((c) => c.count)));

/** Phases of the largest combination of classes. */
export const mostPhases = (classes: Problem['classes']): number =>
  sizeOf(classes.map((list) => Math.max(...list.map((c) => c.phases.length))));

/** Rows of a class below which phases are put on one grid, to have more rows in one product. */
export const FEW_ROWS = 12;

/**
 * Per picture and group: y = conv(x, w), or transposed, x = convTranspose(y, w). With `together`, phases are on one grid however many
 * rows there are.
 */
export function problemOf(
  g: Axes & Pick<ConvGeometry, 'groups' | 'xChannels' | 'yChannels'>,
  transposed: boolean,
  together = false,
  fusion?: Fusion,
): Problem {
  const [xSize, ySize, kernelSize, stride, dilation, padBefore] = inThreeAxes(axesOf(g));
  const [x, y] = [g.xChannels / g.groups, g.yChannels / g.groups];
  const [inChannels, outChannels] = transposed ? [y, x] : [x, y];
  const [inSize, outSize] = transposed ? [ySize, xSize] : [xSize, ySize];
  const ones = [1, 1, 1] as const;
  const [inStride, outStride] = transposed ? [ones, stride] : [stride, ones];
  const way = transposed ? 1 : -1;
  const classes = (align: boolean) =>
    outSize.map((out, a) =>
      classesOf(out, kernelSize[a], outStride[a], way * dilation[a], way * padBefore[a], align),
    );
  const own = classes(false);
  const taps = sizeOf(kernelSize);
  return {
    fusion,
    inChannels,
    outChannels,
    inSize,
    outSize,
    kernelSize,
    inStride,
    outStride,
    classes: together || outChannels * mostPhases(own) < FEW_ROWS ? classes(true) : own,
    weightOut: transposed ? taps : inChannels * taps,
    weightIn: transposed ? outChannels * taps : taps,
  };
}

/**
 * A product of matrices, (m, k) · (k, n): a convolution with a kernel of one tap from k to m channels over a picture of n positions,
 * whose weight is the left operand, stored `transposed` perhaps.
 */
export function matrixProblem(m: number, n: number, k: number, transposed = false): Problem {
  const problem = problemOf({ ...pointwise(n), xChannels: k, yChannels: m, groups: 1 }, false);
  return transposed ? { ...problem, weightOut: 1, weightIn: m } : problem;
}
