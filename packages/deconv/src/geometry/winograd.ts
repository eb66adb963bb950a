/**
 * winograd: which convolutions are worth computing in Winograd's form, with 36 multiplications per tile and pair of channels
 * where plain sums take 144, told by their geometry alone. (How, and the matrices: kernels/wasm/winograd.ts.)
 *
 * Whether one is depends on its channels, and on each axis by itself. So pictures and large enough parts of them are computed
 * in the same form, and what runs networks in tiles can ask here what to keep to: a result in this form depends, in its last
 * bits, on all inputs of its tile, and on where tiles begin.
 */
import type { ConvGeometry } from './conv.js';

/** How tiles of a kernel with so many taps can be made. */
export interface Form {
  readonly taps: number;
  /** Inputs and outputs of a tile along an axis: inputs = outputs + taps − 1. */
  readonly inputs: number;
  readonly outputs: number;
  /** Outputs along an axis, of each residue of the dilation, below which tiles are too few. */
  readonly leastSide: number;
  /** Values of a transformed input per tile and place of which enough tiles have room in the work space. */
  readonly mostSpread: number;
  /** What transforming a tile costs, in multiplications, roughly as measured: per input channel, and per output channel. */
  readonly perInput: number;
  readonly perOutput: number;
}

/** Larger tiles first: they take fewer multiplications. */
export const FORMS: readonly Form[] = [
  { taps: 3, inputs: 6, outputs: 4, leastSide: 16, mostSpread: 256, perInput: 700, perOutput: 600 },
  { taps: 3, inputs: 4, outputs: 2, leastSide: 8, mostSpread: 512, perInput: 120, perOutput: 100 },
  { taps: 2, inputs: 4, outputs: 3, leastSide: 8, mostSpread: 512, perInput: 170, perOutput: 225 },
];

/** Values of a transformed weight beyond which reading them takes longer than the multiplications that are saved. */
const MOST_WEIGHT = 4 * 1024 * 1024;
/** The same where it is read once for so many pictures. */
const MANY_PICTURES = 8;
const MOST_WEIGHT_OF_MANY = 12 * 1024 * 1024;
/** Phases of a transposed convolution. */
const MOST_PHASES = 16;
/** Share of the cost of plain sums that is worth it. */
const WORTH = 0.83;

/**
 * Taps along an axis of a phase of a transposed convolution, or, of a convolution with a stride, of a residue of its input: of
 * all, if the kernel is filled up with zeros to a multiple of the stride. Undefined if they do not lie side by side.
 */
function tapsOf(g: ConvGeometry, axis: number): number | undefined {
  const [k, s] = [g.kernelSize[axis], g.stride[axis]];
  return s === 1 || g.dilation[axis] === 1 ? Math.ceil(k / s) : undefined;
}

/** Whether channels and kernel are fit for the form. */
function fits(g: ConvGeometry, transposed: boolean, form: Form): boolean {
  const { inputs, outputs } = form;
  const phases = g.stride[0] * g.stride[1];
  const [from, to] = transposed ? [g.yChannels, g.xChannels * phases] : [g.xChannels * phases, g.yChannels];
  const [depth, rows] = [from / g.groups, to / g.groups];
  const weight = inputs ** 2 * depth * rows;
  const mostWeight = g.batch >= MANY_PICTURES ? MOST_WEIGHT_OF_MANY : MOST_WEIGHT;
  const spread = depth * g.dilation[0] * g.dilation[1];
  if (phases > MOST_PHASES || weight > mostWeight || spread > form.mostSpread) return false;
  const cost = weight + form.perInput * depth + form.perOutput * rows;
  // Taps of a phase or a residue that are not filled up, on average.
  const own = (g.kernelSize[0] * g.kernelSize[1]) / phases;
  return cost <= WORTH * outputs ** 2 * own * depth * rows;
}

/** The form for a length of this axis, if channels and kernel are fit for one. */
function formAlong(g: ConvGeometry, transposed: boolean, axis: number, exact = false): Form | undefined {
  if (g.rank !== 2 || tapsOf(g, 0) !== tapsOf(g, 1)) return undefined;
  const side = (transposed ? g.xSize[axis] / g.stride[axis] : g.ySize[axis]) / g.dilation[axis];
  return FORMS.find(
    (form) =>
      form.taps === tapsOf(g, axis) &&
      side >= form.leastSide &&
      !(exact && form.inputs === 6) &&
      fits(g, transposed, form),
  );
}

/** Tiles along an axis, and what they read. */
export interface TilesAlong {
  /** Tile i reads the inputs i · step + first … i · step + last. */
  readonly step: number;
  readonly first: number;
  readonly last: number;
  /** Output o is made from the tiles ⌊(o + from) / over⌋ … ⌊(o + to) / over⌋, or some of them. */
  readonly over: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The tiles along an axis of a convolution, or of its transpose, if channels, kernel and the length of this axis are fit for
 * Winograd's form. It is used where both axes are, in the smaller of their tiles, or smaller ones yet: those of the larger begin
 * where they do.
 */
export function tilesAlong(g: ConvGeometry, transposed: boolean, axis: number): TilesAlong | undefined {
  const form = formAlong(g, transposed, axis);
  if (form === undefined) return undefined;
  const { taps, inputs, outputs } = form;
  const [s, d, pb] = [g.stride[axis], g.dilation[axis], g.padBefore[axis]];
  const across = outputs * d;
  if (!transposed) {
    const last = inputs * s * d - 1 - pb;
    return { step: across * s, first: -pb, last, over: across, from: 0, to: 0 };
  }
  // Residue r of o + pb begins at input ⌈(pb − r) / s⌉, which is ⌊pb / s⌋ or one more.
  const base = Math.floor(pb / s);
  const first = base - (taps - 1) * d;
  const ends = s === 1 ? { from: 0, to: 0 } : { from: pb - s * base - s, to: pb - s * base + s };
  return { step: across, first, last: first + inputs * d - 1, over: across * s, ...ends };
}

/**
 * Winograd's form of a convolution, or of its transpose, if it is computed in one. `exact`: one whose matrices hold halves and whole
 * numbers, so that what needs no rounding in plain sums needs none here.
 */
export function formOf(g: ConvGeometry, transposed: boolean, exact = false): Form | undefined {
  const [a, b] = [0, 1].map((axis) => (g.batch > 0 ? formAlong(g, transposed, axis, exact) : undefined));
  if (a === undefined || b === undefined) return undefined;
  return a.inputs < b.inputs ? a : b;
}
