/**
 * winograd: which convolutions are worth computing in Winograd's form, with 16 multiplications per tile and pair of channels
 * where plain sums take 36, told by their geometry alone. (How, and the matrices: kernels/wasm/winograd.ts.)
 *
 * Whether one is depends on its channels, and on each axis by itself. So pictures and large enough parts of them are computed
 * in the same form, and what runs networks in tiles can ask here what to keep to: a result in this form depends, in its last
 * bits, on all inputs of its tile, and on where tiles begin.
 */
import type { ConvGeometry } from './conv.js';

/** Inputs of a tile along an axis. */
export const TILE_INPUTS = 4;

/** Outputs along an axis, of each residue of the dilation, below which tiles are too few. */
const LEAST_SIDE = 8;
/** Values of a transformed weight beyond which reading them takes longer than the multiplications that are saved. */
const MOST_WEIGHT = 4 * 1024 * 1024;
/** Input channels, times the residues of the dilation, of which enough tiles have room in the work space. */
const MOST_SPREAD = 512;
/** Phases of a transposed convolution. */
const MOST_PHASES = 16;
/**
 * What transforming a tile costs, in multiplications, roughly as measured: per input channel a part that goes by its inputs and
 * one by the outputs, whose number is how far tiles lie apart; per output channel one by the outputs. And the share of the cost
 * of plain sums that is worth it.
 */
const PER_TILE = 80;
const PER_STEP = 10;
const PER_OUTPUT = 25;
const WORTH = 0.83;

/** Taps of every phase along an axis; undefined if they differ, or are none. */
function tapsOf(g: ConvGeometry, transposed: boolean, axis: number): number | undefined {
  const [k, s] = [g.kernelSize[axis], g.stride[axis]];
  if (!transposed) return s === 1 ? k : undefined;
  return k % s === 0 && (s === 1 || g.dilation[axis] === 1) ? k / s : undefined;
}

/** Outputs of a tile along each axis, if channels and kernel are fit for the form; else undefined. */
function outputsOf(g: ConvGeometry, transposed: boolean): number | undefined {
  if (g.rank !== 2) return undefined;
  const taps = tapsOf(g, transposed, 0);
  if ((taps !== 2 && taps !== 3) || tapsOf(g, transposed, 1) !== taps) return undefined;
  const [from, to] = transposed ? [g.yChannels, g.xChannels] : [g.xChannels, g.yChannels];
  const phases = transposed ? g.stride[0] * g.stride[1] : 1;
  const [inputs, rows] = [from / g.groups, (to / g.groups) * phases];
  const weight = TILE_INPUTS ** 2 * inputs * rows;
  const spread = inputs * g.dilation[0] * g.dilation[1];
  if (phases > MOST_PHASES || weight > MOST_WEIGHT || spread > MOST_SPREAD) return undefined;
  const outputs = TILE_INPUTS + 1 - taps;
  const all = outputs ** 2;
  const cost = weight + (PER_TILE + PER_STEP * all) * inputs + PER_OUTPUT * all * rows;
  return cost > WORTH * all * taps ** 2 * inputs * rows ? undefined : outputs;
}

/** Outputs of a tile along an axis, if channels, kernel and the length of this axis are fit for the form. */
function outputsAlong(g: ConvGeometry, transposed: boolean, axis: number): number | undefined {
  const side = transposed ? g.xSize[axis] / g.stride[axis] : g.ySize[axis];
  return side >= LEAST_SIDE * g.dilation[axis] ? outputsOf(g, transposed) : undefined;
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
 * Winograd's form. It is used where both axes are.
 */
export function tilesAlong(g: ConvGeometry, transposed: boolean, axis: number): TilesAlong | undefined {
  const outputs = outputsAlong(g, transposed, axis);
  if (outputs === undefined) return undefined;
  const [k, s, d, pb] = [g.kernelSize[axis], g.stride[axis], g.dilation[axis], g.padBefore[axis]];
  const step = outputs * d;
  const over = step * s;
  const reach = TILE_INPUTS * d - 1;
  if (!transposed) return { step, first: -pb, last: reach - pb, over, from: 0, to: 0 };
  // Residue r of o + pb begins at input ⌈(pb − r) / s⌉, which is ⌊pb / s⌋ or one more.
  const base = Math.floor(pb / s);
  const first = base - (k / s - 1) * d;
  const ends = s === 1 ? { from: 0, to: 0 } : { from: pb - s * base - s, to: pb - s * base + s };
  return { step, first, last: first + reach, over, ...ends };
}

/** Whether a convolution, or its transpose, is computed in Winograd's form. */
export const isWinograd = (g: ConvGeometry, transposed: boolean): boolean =>
  g.batch > 0 && [0, 1].every((axis) => outputsAlong(g, transposed, axis) !== undefined);
