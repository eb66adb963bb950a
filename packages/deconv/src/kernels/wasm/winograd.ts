/**
 * winograd: dense problems with few multiplications. Along an axis whose every class has r = 3 (or 2) taps, tiles of four
 * inputs give m = 2 (or 3) outputs, m + r − 1 = 4, by four multiplications instead of m·r: 16 in place of 36 in a plane.
 *
 *     y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]       d: 4 inputs, g: r taps, y: m outputs
 *
 *          1  0 −1  0           1  0  0            1  0
 *     Bᵀ = 0  1  1  0     G₃ =  ½  ½  ½      G₂ =  ½  ½     A₂ᵀ = 1  1  1  0     A₃ᵀ = 1  1  1  0
 *          0 −1  1  0           ½ −½  ½            ½ −½           0  1 −1  1           0  1 −1  0
 *          0 −1  0  1           0  0  1            0  1                                0  1  1  1
 *
 * (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
 * 2015; points 0, 1, −1, ∞.) Bᵀ is the same for both, so phases of a transposed convolution that see different neighbours
 * share the transformed input. Summed over channels, each of the 16 places is a matrix product of its own.
 *
 * This file writes a problem as one on the grid of tiles: its input stride is m (times the dilation), its taps are the four
 * inputs of a tile, and each of the m outputs of a tile is a phase of its own. Which problems: geometry/winograd.ts.
 */
import { TILE_INPUTS } from '../../geometry/winograd.js';
import type { AxisClass, Phase, Problem } from './problem.js';

/** One of the outputs that tiles have along an axis, as a phase of the grid of tiles. */
export interface TilePhase extends Phase {
  /** Which of the original phases it belongs to. */
  readonly kind: number;
  /** Which output of the tile it is. */
  readonly place: number;
  /** Residue of the dilation: tiles are made of every dilation-th input. */
  readonly residue: number;
}

/** An axis cut into tiles. */
export interface TileAxis {
  /** Outputs of a tile. */
  readonly outputs: number;
  readonly dilation: number;
  /** Offset of the first input of the first tile of residue 0. */
  readonly low: number;
  /** Tiles of each residue. */
  readonly tiles: number;
  /** Original phases, of all classes: what their first tap is. */
  readonly kinds: readonly Phase[];
  /** Kernel index of each tap less that of the phase's first, by rising offset. */
  readonly taps: readonly number[];
  readonly phases: readonly TilePhase[];
}

/** A problem on the grid of tiles. */
export interface TileProblem {
  readonly problem: Problem;
  readonly y: TileAxis;
  readonly x: TileAxis;
}

/** The taps of a class by rising offset: the first offset, the distance from one to the next, the kernel's steps. */
function ordered({ offsets, steps }: AxisClass): { first: number; step: number; taps: number[] } | undefined {
  const order = offsets.map((_, i) => i).sort((a, b) => offsets[a] - offsets[b]);
  const step = offsets[order[1]] - offsets[order[0]];
  if (order.some((at, i) => offsets[at] !== offsets[order[0]] + i * step)) return undefined;
  return { first: offsets[order[0]], step, taps: order.map((at) => steps[at]) };
}

function tileAxis(classes: readonly AxisClass[], outStride: number): TileAxis | undefined {
  const r = classes[0]?.offsets.length;
  if ((r !== 2 && r !== 3) || classes.some((c) => c.offsets.length !== r)) return undefined;
  const found = classes.map(ordered);
  const [one] = found;
  if (one === undefined || (one.step > 1 && classes.length > 1)) return undefined;
  const low = Math.min(...found.map((c) => c?.first ?? 0));
  const outputs = TILE_INPUTS + 1 - r;
  const kinds: Phase[] = [];
  const phases: TilePhase[] = [];
  for (const [which, { phases: originals }] of classes.entries()) {
    const own = found[which];
    if (own === undefined || own.step !== one.step || own.taps.join() !== one.taps.join()) return undefined;
    for (const phase of originals) {
      for (let residue = 0; residue < one.step; residue++) {
        // Grid position b = residue + step · q; the tile i has the outputs q = outputs · i − late + place.
        const late = own.first - low;
        const last = Math.floor((phase.lead + phase.count - 1 - residue) / one.step);
        const first = Math.ceil((phase.lead - residue) / one.step);
        for (let place = 0; place < outputs; place++) {
          const lead = Math.ceil((first + late - place) / outputs);
          const count = Math.floor((last + late - place) / outputs) - lead + 1;
          const b = residue + one.step * (outputs * lead - late + place);
          const start = phase.start + outStride * (b - phase.lead);
          if (count > 0) phases.push({ start, count, lead, tap: 0, kind: kinds.length, place, residue });
        }
      }
      kinds.push(phase);
    }
  }
  const tiles = Math.max(0, ...phases.map(({ lead, count }) => lead + count));
  return { outputs, dilation: one.step, low, tiles, kinds, taps: one.taps, phases };
}

/** All offsets at which tiles read, whatever their residue. */
const offsetsOf = ({ low, dilation }: TileAxis): number[] =>
  Array.from({ length: TILE_INPUTS * dilation }, (_, i) => low + i);

/** The problem on the grid of tiles, if it can be written so. */
export function tileProblem(p: Problem): TileProblem | undefined {
  const [zs, ys, xs] = p.classes;
  const flat = p.inSize[0] === 1 && p.outSize[0] === 1 && zs.length === 1 && zs[0].offsets.join() === '0';
  if (!flat || p.inStride[1] !== 1 || p.inStride[2] !== 1) return undefined;
  const y = tileAxis(ys, p.outStride[1]);
  const x = tileAxis(xs, p.outStride[2]);
  if (y === undefined || x === undefined || y.outputs !== x.outputs) return undefined;
  const classOf = (axis: TileAxis): AxisClass[] => [
    { offsets: offsetsOf(axis), steps: [], phases: axis.phases, count: axis.tiles },
  ];
  const steps = [y, x].map(({ outputs, dilation }) => outputs * dilation);
  const problem: Problem = {
    ...p,
    inStride: [1, steps[0], steps[1]],
    outStride: [p.outStride[0], p.outStride[1] * steps[0], p.outStride[2] * steps[1]],
    classes: [zs, classOf(y), classOf(x)],
  };
  return { problem, y, x };
}
