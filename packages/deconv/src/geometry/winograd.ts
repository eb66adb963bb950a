/**
 * winograd: which convolutions are worth computing in Winograd's form, with 36 multiplications per tile and pair of channels
 * where plain sums take 144, told by their geometry alone. (How, and the matrices: kernels/wasm/winograd.ts.)
 *
 * Tiles lie along both axes of a plane, or along one axis only, as lines of eight inputs, with plain sums over the taps of the
 * others. Which of the two depends on channels and kernel, and whether on each axis by itself. So pictures and large enough parts
 * of them are computed in the same form, and what runs networks in tiles can ask here what to keep to: a result in this form
 * depends, in its last bits, on all inputs of its tile, and on where tiles begin.
 */
import { sizeOf } from '../shape.js';
import type { ConvGeometry } from './conv.js';

/** How tiles of so many taps can be made. */
export interface Form {
  /** Tiles lie along two axes; else along one. */
  readonly plane: boolean;
  readonly taps: number;
  /** Inputs and outputs of a tile along an axis: inputs = outputs + taps − 1. */
  readonly inputs: number;
  readonly outputs: number;
  /** Outputs along an axis, of each residue of the dilation, below which tiles are too few. */
  readonly leastSide: number;
  /**
   * Values of a transformed input per tile and place of which enough tiles have room in the work space; and what transforming
   * a tile costs, in multiplications, roughly as measured: per input channel, and per output channel.
   */
  readonly costs: readonly [mostSpread: number, perInput: number, perOutput: number];
}

const formOf = (
  plane: boolean,
  taps: number,
  inputs: number,
  leastSide: number,
  ...costs: Form['costs']
): Form => ({ plane, taps, inputs, outputs: inputs - taps + 1, leastSide, costs });

/** Tiles in planes. */
const PLANES: readonly Form[] = [
  formOf(true, 3, 6, 14, 256, 700, 600),
  formOf(true, 3, 4, 7, 512, 120, 100),
  formOf(true, 2, 5, 7, 512, 600, 560),
  formOf(true, 2, 4, 8, 512, 170, 225),
  formOf(true, 2, 3, 4, 1024, 80, 100),
];

/** Tiles in lines. Longer kernels are several of them, one behind the other. */
const LINES: readonly Form[] = [3, 4, 5].map((taps) => formOf(false, taps, 8, 16, 512, 100, 100));

/** All forms. */
export const FORMS: readonly Form[] = [...PLANES, ...LINES];

/** A form, and where its tiles lie. */
export interface Tiling {
  readonly form: Form;
  /** The axes of the geometry along which there are tiles. */
  readonly axes: readonly number[];
  /** Kernels, of the form's taps, that the one along such an axis is cut into. */
  readonly pieces: number;
}

/** Values of a transformed weight beyond which reading them takes longer than the multiplications that are saved. */
export const MOST_WEIGHT = 4 * 1024 * 1024;
/** The same where it is read once for so many pictures. */
export const MANY_PICTURES = 8;
export const MOST_WEIGHT_OF_MANY = 12 * 1024 * 1024;
/** Phases of a transposed convolution. */
export const MOST_PHASES = 16;
/** Residues into which a row is split in vectors; one by one, transforming an input costs so many times as much. */
export const MOST_RESIDUES = 16;
export const ONE_BY_ONE = 2;
/** Share of the cost of plain sums that is worth it. */
export const WORTH = 0.83;

/**
 * Taps along an axis of a phase of a transposed convolution, or, of a convolution with a stride, of a residue of its input: of
 * all, if the kernel is filled up with zeros to a multiple of the stride. 0 if they do not lie side by side.
 */
function tapsOf(g: ConvGeometry, axis: number): number {
  const [k, s] = [g.kernelSize[axis], g.stride[axis]];
  return s === 1 || g.dilation[axis] === 1 ? Math.ceil(k / s) : 0;
}

/** Places of a tile along an axis that are not zero throughout, on average: a tap that is filled up leaves out one. */
function occupiedPlaces(g: ConvGeometry, axis: number, { form: { taps, inputs }, pieces }: Tiling): number {
  const [k, s] = [g.kernelSize[axis], g.stride[axis]];
  let places = 0;
  for (let residue = 0; residue < s; residue++) {
    const own = Math.ceil((k - residue) / s);
    for (let piece = 0; piece < pieces; piece++) {
      const count = own - taps * piece;
      if (count > 0) places += count < taps ? inputs - 1 : inputs;
    }
  }
  return places / (s * pieces);
}

/** Taps along an axis without tiles: of a phase of a transposed convolution, if all are to have as many. */
const plainTaps = ({ kernelSize, stride }: ConvGeometry, transposed: boolean, axis: number): number =>
  transposed ? Math.ceil(kernelSize[axis] / stride[axis]) : kernelSize[axis];

/** What a tiling takes, as a share of plain sums; more than 1 where it cannot be. */
function costOf(g: ConvGeometry, transposed: boolean, tiling: Tiling): number {
  const { form, axes, pieces } = tiling;
  const { inputs, outputs } = form;
  const [mostSpread, perInput, perOutput] = form.costs;
  // Along tiled axes phases, or residues, are rows, or channels, of their own, each with a part of the taps.
  const along = (list: readonly number[]) => sizeOf(axes.map((axis) => list[axis]));
  const phases = along(g.stride);
  // Along the others every tap is; of a transposed convolution, every tap of a phase, all filled up to as many.
  const all = transposed ? sizeOf(g.stride) : phases;
  const plain = sizeOf(
    g.kernelSize.map((_, axis) => (axes.includes(axis) ? 1 : plainTaps(g, transposed, axis))),
  );
  const [from, to] = transposed ? [g.yChannels, g.xChannels * all] : [g.xChannels * all, g.yChannels];
  const [depth, rows] = [from / g.groups, to / g.groups];
  const occupied = sizeOf(axes.map((axis) => occupiedPlaces(g, axis, tiling)));
  const weight = occupied * (depth * pieces) * plain * rows;
  const mostWeight = g.batch >= MANY_PICTURES ? MOST_WEIGHT_OF_MANY : MOST_WEIGHT;
  // Along the others, residues of a convolution's input are transformed by themselves.
  const channels = depth * pieces * (sizeOf(g.stride) / all);
  const spread = channels * along(g.dilation);
  if (all > MOST_PHASES || weight > mostWeight || spread > mostSpread) return Number.POSITIVE_INFINITY;
  // Phases mostly begin an input apart: they share tiles at the price of one more, and what is filled up are their first taps, which
  // cost nothing only where 0 is one of the points. So tiles without that point do not pay.
  if (transposed && inputs % 2 === 1) return Number.POSITIVE_INFINITY;
  // Taps of a phase or a residue that are not filled up, on average.
  const own = sizeOf(g.kernelSize) / all;
  // Of a kernel that is filled up, tiles of three inputs save a sixth or so, for four times the weight.
  if (inputs === 3 && own < form.taps ** 2) return Number.POSITIVE_INFINITY;
  const last = g.rank - 1;
  const residues = axes.includes(last) ? outputs * g.dilation[last] : 1;
  const perChannel = perInput * (residues > MOST_RESIDUES ? ONE_BY_ONE : 1);
  const cost = weight + perChannel * channels + perOutput * rows;
  return cost / (outputs ** axes.length * own * depth * rows);
}

/**
 * The axis along which lines of tiles can be laid, if there is one: the last but one, where lanes lie along rows as they are; along
 * rows if the kernel has no other length. Along the others all phases of a transposed convolution must see the same neighbours, which
 * those with a tap less do if the kernel is filled up, along rows: else they would have to be products of their own.
 */
function lineOf(g: ConvGeometry, transposed: boolean): number | undefined {
  const last = g.rank - 1;
  const axis = last > 0 && g.kernelSize[last - 1] > 1 ? last - 1 : last;
  const fit = g.kernelSize.every((k, a) => {
    if (a === axis) return tapsOf(g, a) >= 3;
    const uneven = k % g.stride[a] > 0 && a < last;
    const apart = transposed && g.stride[a] > 1 && (uneven || g.dilation[a] > 1);
    return !apart && (k === 1 || axis < last);
  });
  return fit ? axis : undefined;
}

/** The tilings that are worth it, of one kind, in the order in which they are taken if sides allow. */
function tilingsOf(g: ConvGeometry, transposed: boolean, exact: boolean): Tiling[] {
  const cheapest = (forms: readonly Form[], axes: readonly number[], taps: number) =>
    forms
      .map((form) => {
        const tiling = { form, axes, pieces: Math.ceil(taps / form.taps) };
        return { ...tiling, cost: costOf(g, transposed, tiling) };
      })
      .filter(({ form, cost }) => cost <= WORTH && !(exact && form.inputs > 4))
      .sort((a, b) => a.cost - b.cost);
  const taps = g.kernelSize.map((_, axis) => tapsOf(g, axis));
  const [down, across] = taps;
  const fit = PLANES.filter((form) => g.rank === 2 && down === across && form.taps === down);
  const [plane, ...others] = cheapest(fit, [0, 1], down);
  const axis = lineOf(g, transposed);
  const [line] = axis === undefined ? [] : cheapest(LINES, [axis], taps[axis]);
  if (line !== undefined && !(line.cost >= plane?.cost)) return [line];
  if (plane === undefined) return [];
  const planes = [plane];
  // Others serve sides that are too short for those before them.
  for (const tiling of others)
    if (planes.every(({ form }) => form.leastSide > tiling.form.leastSide)) planes.push(tiling);
  return planes;
}

/** Whether an axis is long enough for a form. */
function holds(g: ConvGeometry, transposed: boolean, axis: number, { leastSide }: Form): boolean {
  const outputs = transposed ? g.xSize[axis] / g.stride[axis] : g.ySize[axis];
  return outputs / g.dilation[axis] >= leastSide;
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
 * Winograd's form. Planes are used where both axes are, and in tiles that the shorter one is long enough for: what is told is good for
 * all of them, as many outputs as are whole tiles of each. `exact`: as of {@link tilingOf}.
 */
export function tilesAlong(
  g: ConvGeometry,
  transposed: boolean,
  axis: number,
  exact = false,
): TilesAlong | undefined {
  const tilings = tilingsOf(g, transposed, exact);
  const at = tilings.findIndex(({ form, axes }) => axes.includes(axis) && holds(g, transposed, axis, form));
  if (at < 0) return undefined;
  const { form, pieces } = tilings[at];
  let { outputs } = form;
  while (tilings.slice(at).some(({ form }) => outputs % form.outputs > 0)) outputs += form.outputs;
  const taps = form.taps * pieces;
  const inputs = outputs + taps - 1;
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
 * How a convolution, or its transpose, is laid in tiles, if it is computed in Winograd's form. `exact`: in one whose matrices hold
 * halves and whole numbers, so that what needs no rounding in plain sums needs none here.
 */
export function tilingOf(g: ConvGeometry, transposed: boolean, exact = false): Tiling | undefined {
  if (g.batch === 0) return undefined;
  return tilingsOf(g, transposed, exact).find(({ form, axes }) =>
    axes.every((axis) => holds(g, transposed, axis, form)),
  );
}

/** Taps along each axis of the kernel, filled up with zeros to a number that the tiling takes. */
export function filledKernel(g: ConvGeometry, transposed: boolean, { form, axes, pieces }: Tiling): number[] {
  return g.kernelSize.map((k, axis) => {
    if (axes.includes(axis)) return g.stride[axis] * form.taps * pieces;
    return transposed ? g.stride[axis] * plainTaps(g, transposed, axis) : k;
  });
}
