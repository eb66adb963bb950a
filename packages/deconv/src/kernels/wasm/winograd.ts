/**
 * winograd: dense problems with few multiplications. Along an axis whose every class has r taps, tiles of n = m + r − 1 inputs
 * give m outputs by n multiplications instead of m·r: 36 in place of 144 in a plane for n = 6, r = 3.
 *
 *     y = Aᵀ [ (G g) ⊙ (Bᵀ d) ]       d: n inputs, g: r taps, y: m outputs
 *
 * (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
 * 2015.) It is polynomial multiplication by values at n − 1 points p and at ∞. With four inputs the points are 0, 1, −1:
 *
 *          1  0 −1  0           1  0  0            1  0
 *     Bᵀ = 0  1  1  0     G₃ =  ½  ½  ½      G₂ =  ½  ½     A₂ᵀ = 1  1  1  0     A₃ᵀ = 1  1  1  0
 *          0 −1  1  0           ½ −½  ½            ½ −½           0  1 −1  1           0  1 −1  0
 *          0 −1  0  1           0  0  1            0  1                                0  1  1  1
 *
 * With six they are 0, ±a, ±b, a = ⅔, b = 3⁄2, c = a² + b². The error grows with how far powers of the points lie apart, and these
 * are near 1 and each other's inverse: results are about twice as far off as plain sums, with the usual ±1, ±2 ten times.
 *
 *          1  0 −c  0  1  0                                               1
 *          0 −b −b² a  1  0                                               u   ua   ua²              1 1  1  1  1  0
 *     Bᵀ = 0  b −b²−a  1  0     u = 1 / 2a²(a² − b²)                G₃ =  u  −ua   ua²      A₄ᵀ =   0 a −a  b −b  0
 *          0 −a −a² b  1  0     v = 1 / 2b²(b² − a²)                      v   vb   vb²              0 a² a² b² b² 0
 *          0  a −a²−b  1  0                                               v  −vb   vb²              0 a³−a³ b³−b³ 1
 *          0  1  0 −c  0  1                                                        1
 *
 * Bᵀ is the same for all phases of a transposed convolution, so those that see different neighbours share the transformed input.
 * Of a convolution with a stride s, the inputs of each residue are channels of their own, of which every s-th tap is the kernel:
 * it takes k = r·s. Summed over channels, each place of a tile is a matrix product of its own.
 *
 * This file writes a problem as one on the grid of tiles: its input stride is m (times the dilation, or the stride), its taps are
 * the inputs of a tile, and each of the m outputs of a tile is a phase of its own. Which problems: geometry/winograd.ts.
 */
import type { Form } from '../../geometry/winograd.js';
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
  /** Residues of the dilation: of each, outputs are made of its inputs alone. */
  readonly dilation: number;
  /** Residues of the stride: each is a part of the input, and of the kernel, of its own; their sums are added. */
  readonly splits: number;
  /** Inputs from one of a tile to the next: the dilation, or the stride. */
  readonly spacing: number;
  /** Offset of the first input of the first tile of residue 0. */
  readonly low: number;
  /** Tiles of each residue. */
  readonly tiles: number;
  /** Original phases, of all classes: what their first tap is. */
  readonly kinds: readonly Phase[];
  /** Kernel index of each tap less that of the phase's first, by rising offset; of the first residue of the stride. */
  readonly taps: readonly number[];
  readonly phases: readonly TilePhase[];
  /** All offsets at which tiles read, whatever their residue. */
  readonly offsets: readonly number[];
}

/** A problem on the grid of tiles. */
export interface TileProblem {
  readonly problem: Problem;
  readonly form: Form;
  readonly y: TileAxis;
  readonly x: TileAxis;
}

/** The taps of a class by rising offset: the first offset, the distance from one to the next, the kernel's steps. */
function ordered({ offsets, steps }: AxisClass): { first: number; step: number; taps: number[] } {
  const order = offsets.map((_, i) => i).sort((a, b) => offsets[a] - offsets[b]);
  const step = order.length > 1 ? offsets[order[1]] - offsets[order[0]] : 1;
  return { first: offsets[order[0]], step, taps: order.map((at) => steps[at]) };
}

function tileAxis(
  classes: readonly AxisClass[],
  { inputs, outputs }: Form,
  inStride: number,
  outStride: number,
): TileAxis {
  const found = classes.map(ordered);
  const [{ step: dilation, taps }] = found;
  const low = Math.min(...found.map(({ first }) => first));
  const kinds: Phase[] = [];
  const phases: TilePhase[] = [];
  for (const [which, { phases: originals }] of classes.entries()) {
    for (const phase of originals) {
      for (let residue = 0; residue < dilation; residue++) {
        // Grid position b = residue + dilation · q; the tile i has the outputs q = outputs · i − late + place.
        const late = found[which].first - low;
        const last = Math.floor((phase.lead + phase.count - 1 - residue) / dilation);
        const first = Math.ceil((phase.lead - residue) / dilation);
        for (let place = 0; place < outputs; place++) {
          const lead = Math.ceil((first + late - place) / outputs);
          const count = Math.floor((last + late - place) / outputs) - lead + 1;
          const b = residue + dilation * (outputs * lead - late + place);
          const start = phase.start + outStride * (b - phase.lead);
          if (count > 0) phases.push({ start, count, lead, tap: 0, kind: kinds.length, place, residue });
        }
      }
      kinds.push(phase);
    }
  }
  const tiles = Math.max(0, ...phases.map(({ lead, count }) => lead + count));
  const spacing = dilation * inStride;
  const own = taps.filter((_, at) => at % inStride === 0);
  const offsets = Array.from({ length: inputs * spacing }, (_, i) => low + i);
  return { dilation, splits: inStride, spacing, low, tiles, kinds, taps: own, phases, offsets };
}

/** The problem, whose geometry says that it is fit for the form, on the grid of tiles. */
export function tileProblem(p: Problem, form: Form): TileProblem {
  const [zs, ys, xs] = p.classes;
  const y = tileAxis(ys, form, p.inStride[1], p.outStride[1]);
  const x = tileAxis(xs, form, p.inStride[2], p.outStride[2]);
  const classOf = ({ offsets, phases, tiles }: TileAxis): AxisClass[] => [
    { offsets, steps: [], phases, count: tiles },
  ];
  const { outputs } = form;
  const problem: Problem = {
    ...p,
    inStride: [1, outputs * y.spacing, outputs * x.spacing],
    outStride: [p.outStride[0], p.outStride[1] * outputs * y.dilation, p.outStride[2] * outputs * x.dilation],
    classes: [zs, classOf(y), classOf(x)],
  };
  return { problem, form, y, x };
}
