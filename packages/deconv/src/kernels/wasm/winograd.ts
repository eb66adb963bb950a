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
 * With eight, of tiles that lie along one axis, they are 0, ±½, ±1, ±2; their powers lie further apart, and results are two to six
 * times as far off as plain sums. In general, for points 0, ±p …, ∞, the product of all p being 1:
 *
 *     Bᵀ    Π (x² − p²) for 0 and ∞;  (x² ± p x) Π (x² − q²), over the other points q, for ±p
 *     G     1 for 0;  pⁱ / 2p² Π (p² − q²)  for ±p;  the last tap for ∞
 *     Aᵀ    pⁱ
 *
 * With three (±1) and five (±½, ±1), for two taps, 0 is left out, because pairs ±p share their work: what is for 0 goes, and with it
 * a factor x, or p, of all else.
 *
 * Bᵀ is the same for all phases of a transposed convolution, so those that see different neighbours share the transformed input.
 * Of a convolution with a stride s, the inputs of each residue are channels of their own, of which every s-th tap is the kernel:
 * it takes k = r·s. A kernel of more taps than tiles are made for is cut into pieces, whose inputs, further along, are channels of
 * their own too. Summed over channels, each place of a tile is a matrix product of its own. Along an axis without tiles, the taps are
 * more rows of that product, which are the transformed input a few positions further.
 *
 * A kernel that is no multiple of the stride is filled up with zeros. At the points 0 and ∞ a transformed weight is its first tap,
 * and its last, alone: where that one is filled up, the product at this place does without those channels, or those phases. So a
 * kernel of 3 taps with stride 2, as tiles of 4 inputs, takes 49 multiplications where plain sums take 81, and not 64.
 *
 * This file writes a problem as one on the grid of tiles: its input stride is m (times the dilation, or the stride), its taps are
 * the inputs of a tile, and each of the m outputs of a tile is a phase of its own. Which problems: geometry/winograd.ts.
 */
import type { ConvGeometry } from '../../geometry/conv.js';
import { lift } from '../../geometry/three-axes.js';
import type { Form, Tiling } from '../../geometry/winograd.js';
import { range } from '../../shape.js';
import { combinations } from './bands.js';
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

/** Places of a tile along an axis at which a transformed weight is not zero throughout. */
interface Occupied {
  readonly places: readonly [from: number, to: number];
}

/** A part of the kernel along an axis, whose inputs are channels of their own. */
export interface Part extends Occupied {
  /** Offset of its first input, for the first tile. */
  readonly input: number;
  /** Plain sums go over these taps: how many grid positions further along they see, and their kernel index. */
  readonly taps: readonly { readonly shift: number; readonly tap: number }[];
}

/** An axis of a problem on the grid of tiles. */
export interface TileAxis {
  /** Tiles lie along it; else its taps are summed plainly. */
  readonly tiled: boolean;
  /** Residues of the dilation: of each, outputs are made of its inputs alone. */
  readonly dilation: number;
  /** Inputs from one of a tile to the next: the dilation, or the stride. */
  readonly spacing: number;
  /** Residues of the stride and pieces of the kernel, which are summed. */
  readonly parts: readonly Part[];
  /** Grid positions beyond the last that plain sums see. */
  readonly span: number;
  /** Original phases, of all classes: what their first tap is. */
  readonly kinds: readonly (Phase & Occupied)[];
  /** Kernel index of each tap that tiles are made for, less that of the first. */
  readonly taps: readonly number[];
  readonly phases: readonly TilePhase[];
  /** Steps between inputs, and between outputs, of neighbouring grid positions. */
  readonly inStride: number;
  readonly outStride: number;
  /** The axis of the problem: all offsets at which tiles read, whatever their residue. */
  readonly grid: AxisClass;
}

/** A problem on the grid of tiles. */
export interface TileProblem {
  readonly problem: Problem;
  readonly form: Form;
  /** z, y, x. */
  readonly axes: readonly [TileAxis, TileAxis, TileAxis];
}

/** An axis along which there are no tiles: of one class. */
function plainAxis(grid: AxisClass, inStride: number, outStride: number): TileAxis {
  const { offsets, steps } = grid;
  const low = Math.min(...offsets.map((offset) => Math.floor(offset / inStride)));
  const places = offsets.map((offset, at) => {
    const shift = Math.floor(offset / inStride) - low;
    return { residue: offset - inStride * (shift + low), shift, tap: steps[at] };
  });
  const parts = [...new Set(places.map(({ residue }) => residue))].map((residue) => ({
    input: inStride * low + residue,
    taps: places.filter((place) => place.residue === residue),
    places: [0, 1] as const,
  }));
  const span = Math.max(...places.map(({ shift }) => shift));
  const phases = grid.phases.map((phase, kind) => ({
    ...phase,
    kind,
    place: 0,
    residue: 0,
    places: [0, 1] as const,
  }));
  const common = { tiled: false, dilation: 1, spacing: 0, taps: [0], inStride, outStride };
  return { ...common, parts, span, kinds: phases, phases, grid };
}

/** @param kernelSize taps that are not filled up */
function tileAxis(
  classes: readonly AxisClass[],
  { taps: count, inputs, outputs }: Form,
  inStride: number,
  outStride: number,
  kernelSize: number,
): TileAxis {
  // The taps of the first class by rising offset, and the distance from one to the next; alike in all.
  const [{ offsets: at, steps }] = classes;
  const order = range(at.length).sort((a, b) => at[a] - at[b]);
  const [first, second = first + 1] = order.map((i) => at[i]);
  const dilation = second - first;
  const low = Math.min(...classes.flatMap(({ offsets }) => offsets));
  const kinds: Phase[] = [];
  const phases: TilePhase[] = [];
  for (const { offsets, phases: originals } of classes) {
    // Grid position b = residue + dilation · q; the tile i has the outputs q = outputs · i − late + place.
    const late = Math.min(...offsets) - low;
    for (const phase of originals) {
      for (let residue = 0; residue < dilation; residue++) {
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
  const spacing = dilation * inStride;
  // Taps of the first residue of the stride; those of the others are as many kernel indices further.
  const own = order.flatMap((i, at) => (at % inStride === 0 ? [steps[i]] : []));
  const within = own.slice(0, count).map((tap) => tap - own[0]);
  /** Where any of the weights that begin with these taps is not zero: in the first place by the first tap, in the last by the last. */
  const placesFrom = (firsts: readonly number[]): Occupied => {
    const places = range(inputs).filter((place) => {
      const telling = place === 0 ? within.slice(0, 1) : place === inputs - 1 ? within.slice(-1) : within;
      return firsts.some((first) => telling.some((further) => first + further < kernelSize));
    });
    return { places: [places[0] ?? inputs, (places.at(-1) ?? -1) + 1] };
  };
  const starts = range(inStride).flatMap((residue) =>
    range(Math.ceil(own.length / count)).map((piece) => ({
      input: low + residue + spacing * count * piece,
      tap: residue + own[count * piece],
    })),
  );
  const offsets = range((inputs + own.length - count) * spacing).map((i) => low + i);
  const tiles = Math.max(0, ...phases.map(({ lead, count }) => lead + count));
  return {
    tiled: true,
    dilation,
    spacing,
    parts: starts.map(({ input, tap }) => ({
      input,
      taps: [{ shift: 0, tap }],
      ...placesFrom(kinds.map((kind) => kind.tap + tap)),
    })),
    span: 0,
    kinds: kinds.map((kind) => ({ ...kind, ...placesFrom(starts.map(({ tap }) => kind.tap + tap)) })),
    taps: within,
    phases,
    inStride: outputs * spacing,
    outStride: outStride * outputs * dilation,
    grid: { offsets, steps: [], phases, count: tiles },
  };
}

/** An order of combinations along the three axes in which those that are not zero at a place follow each other. */
export interface Arranged<Item> {
  readonly list: readonly (readonly [Item, Item, Item])[];
  /** Which of them are not zero at a place of a tile, given by its number. */
  at(place: number): readonly [from: number, to: number];
}

/** Brings combinations into such an order: whole along y only, along both, along x only, along none. */
export function arrange<Item extends Occupied>(
  axes: readonly [TileAxis, TileAxis, TileAxis],
  { inputs }: Form,
  itemsOf: (axis: TileAxis) => readonly Item[],
): Arranged<Item> {
  const whole = ({ places: [from, to] }: Item, axis: number) => to - from === (axes[axis].tiled ? inputs : 1);
  const order = ([, y, x]: readonly Item[]) => (whole(y, 1) ? (whole(x, 2) ? 1 : 0) : whole(x, 2) ? 2 : 3);
  const list = combinations(axes.map(itemsOf)).sort((a, b) => order(a) - order(b));
  const has = ({ places: [from, to] }: Item, place: number) => from <= place && place < to;
  return {
    list,
    at: (number) => {
      const across = axes[2].tiled ? inputs : 1;
      const [i, j] = [Math.floor(number / across), number % across];
      const here = list.map(([, y, x]) => has(y, i) && has(x, j));
      return [Math.max(0, here.indexOf(true)), here.lastIndexOf(true) + 1];
    },
  };
}

/** A problem, whose geometry says that it can be laid in such tiles, on their grid: that of the kernel filled up to what they take. */
export function tileProblem(p: Problem, { form, axes: tiled }: Tiling, g: ConvGeometry): TileProblem {
  const kernelSize = lift(g.kernelSize, 1);
  const axisOf = (axis: 0 | 1 | 2): TileAxis => {
    const [classes, inStride, outStride] = [p.classes[axis], p.inStride[axis], p.outStride[axis]];
    if (tiled.includes(axis - 3 + g.rank))
      return tileAxis(classes, form, inStride, outStride, kernelSize[axis]);
    return plainAxis(classes[0], inStride, outStride);
  };
  const axes = [axisOf(0), axisOf(1), axisOf(2)] as const;
  const [z, y, x] = axes;
  const problem: Problem = {
    ...p,
    inStride: [z.inStride, y.inStride, x.inStride],
    outStride: [z.outStride, y.outStride, x.outStride],
    classes: [[z.grid], [y.grid], [x.grid]],
  };
  return { problem, form, axes };
}
