/**
 * phases: a transposed convolution of stride s taken apart into s small dense convolutions per axis.
 *
 * An output o receives x[i]·w[u] exactly when i·s + u·d − pb = o. Divide by s: the tap u can reach o only if
 * (o + pb − u·d) is a multiple of s, which depends on o's residue r = o mod s alone. So all outputs o = r + s·m share
 * the same taps, and read input i = m + offset with offset = (r + pb − u·d) / s, whole numbers both. Every phase is a
 * stride-1 correlation with a few of the kernel's taps: nothing is multiplied by an inserted zero. Where d and s share
 * a factor, some phases have no taps at all: their outputs stay 0 (plus bias).
 *
 * Refuses fractions, sizes below 1 and more phases than anyone could mean.
 *
 * Source: the definition itself; the regrouping is the "polyphase" form of multirate filters, known in this field from
 * W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009.
 */
import { refuse } from '../errors.js';
import { perAxis } from '../shape.js';
import type { ConvGeometry } from './conv.js';

/** One residue of one axis: outputs first, first + stride, first + 2·stride, … */
export interface AxisPhase {
  /** o mod stride, for every output o of this phase. */
  readonly residue: number;
  /** The taps u that reach these outputs, ascending; empty when none does. */
  readonly taps: readonly number[];
  /** Beside each tap, the input it reads: output number m of this phase (o = first + m·stride) reads input m + offset. */
  readonly offsets: readonly number[];
  /** The first output of this phase; equal to the residue. */
  readonly first: number;
  /** How many outputs this phase has. */
  readonly count: number;
  /** Outputs m with insideFrom ≤ m < insideTo read only inputs that exist, through every tap. */
  readonly insideFrom: number;
  readonly insideTo: number;
}

/** One combination of residues, one per axis. */
export interface Phase {
  readonly residue: readonly number[];
  readonly axes: readonly AxisPhase[];
  /** Taps of this phase: the product over the axes; 0 when nothing reaches it. */
  readonly taps: number;
  /** Outputs of this phase: the product over the axes. */
  readonly outputs: number;
}

/** More phases than this are a mistake, not a layer. */
const MAX_PHASES = 65536;

/**
 * The s phases of one axis of a transposed convolution, in the order of their residues.
 *
 * @param n input size
 * @param k kernelSize
 * @param s stride
 * @param d dilation, 1 = dense
 * @param padBefore rows cut off before the output; negative extends it
 * @param out output size
 * @returns one record per residue 0 … s−1; taps u with (residue + padBefore − u·d) divisible by s
 * @throws DeconvError on fractions and sizes below 1
 * @example
 * ```ts
 * import { phasesOfAxis } from 'deconv';
 * // kernelSize 3, stride 2, padding 1: even outputs use the middle tap, odd ones the two outer taps.
 * const [even, odd] = phasesOfAxis(4, 3, 2, 1, 1, 7);
 * console.log(even.taps, even.offsets); // [ 1 ] [ 0 ]
 * console.log(odd.taps, odd.offsets); // [ 0, 2 ] [ 1, 0 ]
 * ```
 */
export function phasesOfAxis(
  n: number,
  k: number,
  s: number,
  d: number,
  padBefore: number,
  out: number,
): AxisPhase[] {
  const op = 'phasesOfAxis';
  perAxis(op, 'input size', n, 1, 1);
  perAxis(op, 'kernelSize', k, 1, 1);
  perAxis(op, 'stride', s, 1, 1);
  perAxis(op, 'dilation', d, 1, 1);
  perAxis(op, 'padBefore', padBefore, 1, Number.NEGATIVE_INFINITY);
  perAxis(op, 'output size', out, 1, 1);
  if (s > MAX_PHASES)
    refuse(op, 'stride', `stride must be ≤ ${MAX_PHASES} to be split into phases, got ${s}`);

  const taps: number[][] = Array.from({ length: s }, () => []);
  for (let u = 0; u < k; u++) {
    // r = (u·d − pb) mod s is the only residue that makes r + pb − u·d divisible by s.
    taps[(((u * d - padBefore) % s) + s) % s].push(u);
  }
  return taps.map((own, residue) => {
    const offsets = own.map((u) => (residue + padBefore - u * d) / s);
    const count = Math.max(0, Math.ceil((out - residue) / s));
    // Offsets fall as u rises: the first is the largest, the last the smallest. Inside: 0 ≤ m + offset < n.
    const from = own.length === 0 ? 0 : Math.max(0, -offsets[offsets.length - 1]);
    const to = own.length === 0 ? count : Math.min(count, n - offsets[0]);
    const insideFrom = Math.min(from, count);
    return Object.freeze({
      residue,
      taps: Object.freeze(own),
      offsets: Object.freeze(offsets.map((offset) => offset + 0)), // −0 + 0 is 0
      first: residue,
      count,
      insideFrom,
      insideTo: Math.max(insideFrom, to),
    });
  });
}

/**
 * All phases of a transposed convolution: the product of its axes' phases, residues counted row-major. Their outputs
 * partition the output plane; their taps partition the kernel.
 *
 * @param g from {@link convTransposeGeometry}
 * @throws DeconvError when there would be more than 65536
 * @example
 * ```ts
 * import { convTransposeGeometry, phases } from 'deconv';
 * const g = convTransposeGeometry([1, 64, 8, 8], [64, 3, 4, 4], { stride: 2, padding: 1 });
 * console.log(phases(g).map((p) => `${p.residue}: ${p.taps} taps`)); // [ '0,0: 4 taps', '0,1: 4 taps', … ]
 * ```
 */
export function phases(g: ConvGeometry): Phase[] {
  const total = g.stride.reduce((product, s) => product * s, 1);
  if (total > MAX_PHASES) {
    refuse(
      'phases',
      'stride',
      `stride [${g.stride.join(', ')}] makes ${total} phases, must be ≤ ${MAX_PHASES}`,
    );
  }
  let combined: AxisPhase[][] = [[]];
  for (let axis = 0; axis < g.rank; axis++) {
    const own = phasesOfAxis(
      g.ySize[axis],
      g.kernelSize[axis],
      g.stride[axis],
      g.dilation[axis],
      g.padBefore[axis],
      g.xSize[axis],
    );
    combined = combined.flatMap((head) => own.map((phase) => [...head, phase]));
  }
  return combined.map((axes) =>
    Object.freeze({
      residue: Object.freeze(axes.map((phase) => phase.residue)),
      axes: Object.freeze(axes),
      taps: axes.reduce((product, phase) => product * phase.taps.length, 1),
      outputs: axes.reduce((product, phase) => product * phase.count, 1),
    }),
  );
}
