/**
 * band-input: the input as a band sees it: padded, and split by residue of the input stride so that every tap of every
 * strip is one contiguous row. Where nothing is to be padded or split, the input itself.
 */
import { combinations } from '../../geometry/three-axes.js';
import * as BASE from './bases.js';
import { type Place, type PlanBuilder, placeIn, product, roundUp, SLACK } from './commands.js';
import { SPLITS } from './movers.js';
import { type AxisClass, gridOf, type Problem } from './problem.js';

export interface Box {
  readonly from: readonly number[];
  readonly size: readonly number[];
}

/** What one axis of the padded input looks like: residues of the input stride, and the reach of the offsets. */
function reachOf(classes: readonly AxisClass[], stride: number) {
  const offsets = classes.flatMap((c) => c.offsets);
  if (offsets.length === 0) offsets.push(0);
  const steps = offsets.map((offset) => Math.floor(offset / stride));
  const low = Math.min(...steps);
  // Of a stride as large as they come, only the residues of offsets: one plane for each.
  const residues = [...new Set(offsets.map((offset, i) => offset - stride * steps[i]))].sort((a, b) => a - b);
  return { residues, low, span: Math.max(...steps) - low };
}

/**
 * Of `extent` positions that lie `step` apart, from `origin` on, those inside an axis of `length`: the first, how many, and where the
 * first of them is.
 */
export function insideOf(
  origin: number,
  extent: number,
  length: number,
  step = 1,
): readonly [from: number, count: number, at: number] {
  const from = Math.min(extent, Math.max(0, Math.ceil(-origin / step)));
  const to = Math.max(from, Math.min(extent, Math.floor((length - 1 - origin) / step) + 1));
  return [from, to - from, origin + from * step];
}

/** Strides of the padded input of a band, in floats. */
export interface Layout {
  readonly x: number;
  readonly y: number;
  readonly channel: number;
  readonly plane: number;
  readonly floats: number;
}

export type BandInput = ReturnType<typeof bandInput>;

/** The padded input of a problem, band by band. */
export function bandInput(p: Problem) {
  const grid = gridOf(p);
  const { inChannels, inSize, inStride, fusion } = p;
  const reach = p.classes.map((classes, axis) => reachOf(classes, inStride[axis]));
  const counts = reach.map(({ residues }) => residues.length);
  const extentOf = (size: readonly number[]) => size.map((length, axis) => length + reach[axis].span);
  const plain =
    !fusion?.padded &&
    reach.every(
      ({ low, span }, axis) => low === 0 && span === 0 && inStride[axis] === 1 && grid[axis] <= inSize[axis],
    );

  return { grid, reach, plain, layout, rowOf, inside, pad };

  /** Strides for a band of the given size. */
  function layout(size: readonly number[]): Layout {
    const [z, y, x] = plain ? inSize : extentOf(size);
    if (plain) return { x, y, channel: z * y * x, plane: 0, floats: SLACK };
    // Planes a multiple of 4 KiB apart would all fall into the same few cache sets.
    const channel = roundUp(z * y * x, 16) + 16;
    const plane = channel * inChannels;
    return { x, y, channel, plane, floats: plane * product(counts) + SLACK };
  }

  /** Where what lies so far from a grid position is to be found, in a band of this layout: in its residue's plane, some steps in. */
  function rowOf({ plane, y, x }: Layout, offsets: readonly number[]): number {
    const planes = offsets.map((offset, axis) =>
      reach[axis].residues.findIndex((r) => (offset - r) % inStride[axis] === 0),
    );
    const steps = offsets.map((offset, axis) => Math.floor(offset / inStride[axis]) - reach[axis].low);
    return placeIn(counts, planes) * plane + placeIn([0, y, x], steps);
  }

  /** Positions of the padded axis that fall into the input, the first, how many, and the input index of the first. */
  function inside({ from, size }: Box, axis: number, residue: number) {
    const { low, span } = reach[axis];
    const step = inStride[axis];
    return insideOf(step * (from[axis] + low) + residue, size[axis] + span, inSize[axis], step);
  }

  /**
   * Input rows of a band with zeros where there is no input, one plane per residue of the input stride.
   *
   * @param picture number of the picture, from where the input begins
   * @param from the first channel
   * @param all channels of a picture, of all groups
   */
  function pad(list: PlanBuilder, box: Box, layout: Layout, picture = 0, from = 0, all = inChannels): void {
    const [, , inWidth] = inSize;
    const [levelStep, rowStep, step] = inStride;
    const [levels, height, width] = extentOf(box.size);
    const first = picture * all + from;
    const parts = fusion?.parts(picture, all, from, inChannels) ?? [[BASE.input, first, 0, inChannels]];
    // All residues along a row in one pass, where there are all.
    const whole = SPLITS.some((n) => n === step && n === counts[2]);
    const planes = combinations(reach.map(({ residues }) => residues));
    for (const [plane, residues] of planes.entries()) {
      const [[z0, zs, zIn], [y0, ys, yIn], [x0, xs, xIn]] = residues.map((r, axis) => inside(box, axis, r));
      for (let z = 0; z < levels; z++) {
        const seen = z >= z0 && z < z0 + zs && (whole || xs > 0);
        const [top, rows] = seen ? [y0, ys] : [height, 0];
        /** A command for rows of some of the channels. */
        const push = (
          name: string,
          source: number | Place,
          first: number,
          count: number,
          row: number,
          rows: number,
          ...line: readonly number[]
        ) => {
          const at = first * layout.channel + plane * layout.plane + (z * layout.y + row) * layout.x;
          const channels = [count, 4 * product(inSize), 4 * layout.channel] as const;
          const down = [rows, 4 * rowStep * inWidth, 4 * layout.x] as const;
          if (rows > 0) list.push(name, source, [BASE.work, 4 * at], ...channels, ...down, ...line);
        };
        const zeros = (row: number, end: number) => push('pad', 0, 0, inChannels, row, end - row, width);
        /** One command for each part of the channels, which begins at the given position of a row. */
        const move = (name: string, x: number, ...line: readonly number[]) => {
          for (const [base, channel, first, count] of parts) {
            const at = channel * product(inSize) + placeIn(inSize, [zIn + (z - z0) * levelStep, yIn, x]);
            push(name, [base, 4 * at], first, count, top, rows, ...line);
          }
        };
        zeros(0, top);
        if (!whole) move('pad', xIn, x0, xs, 4 * step, width - x0 - xs);
        else if (residues[2] === reach[2].residues[0])
          move(`split${step}`, 0, step * (box.from[2] + reach[2].low), inWidth, width, 4 * layout.plane);
        zeros(top + rows, height);
      }
    }
    fusion?.prepare(list, inChannels * planes.length, layout.channel);
  }
}
