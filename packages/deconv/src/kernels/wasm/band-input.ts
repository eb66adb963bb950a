/**
 * band-input: the input as a band sees it: padded, and split by residue of the input stride so that every tap of every
 * strip is one contiguous row. Where nothing is to be padded or split, the input itself.
 */
import { combinations } from '../../geometry/three-axes.js';
import * as BASE from './bases.js';
import { type CommandList, product, roundUp, SLACK } from './commands.js';
import { activateRows } from './ending.js';
import { SPLITS } from './movers.js';
import type { AxisClass, Problem } from './problem.js';

export interface Box {
  readonly from: readonly number[];
  readonly size: readonly number[];
}

const floorMod = (a: number, b: number) => ((a % b) + b) % b;

/** What one axis of the padded input looks like: residues of the input stride, and the reach of the offsets. */
export interface Reach {
  readonly residues: readonly number[];
  readonly low: number;
  readonly span: number;
}

function reachOf(classes: readonly AxisClass[], stride: number): Reach {
  const offsets = classes.flatMap((c) => c.offsets);
  if (offsets.length === 0) return { residues: [0], low: 0, span: 0 };
  const steps = offsets.map((offset) => Math.floor(offset / stride));
  const low = Math.min(...steps);
  const residues = [...new Set(offsets.map((offset) => floorMod(offset, stride)))].sort((a, b) => a - b);
  return { residues, low, span: Math.max(...steps) - low };
}

/** Strides of the padded input of a band, in floats. */
export interface Layout {
  readonly x: number;
  readonly y: number;
  readonly channel: number;
  readonly plane: number;
  readonly floats: number;
}

/** The padded input of a problem, band by band. */
export class BandInput {
  readonly #p: Problem;
  /** Per axis: which residues there are, and how far the taps reach. */
  readonly reach: readonly Reach[];
  /** The input needs no padding and no splitting: its rows are read where they are. */
  readonly plain: boolean;

  /** @param grid length of the output grid per axis */
  constructor(p: Problem, grid: readonly number[]) {
    this.#p = p;
    this.reach = p.classes.map((classes, axis) => reachOf(classes, p.inStride[axis]));
    const plain = this.reach.every(({ low, span, residues }, axis) => {
      const inside = grid[axis] <= p.inSize[axis];
      return low === 0 && span === 0 && residues.join() === '0' && p.inStride[axis] === 1 && inside;
    });
    this.plain = plain && p.split === undefined && p.before === undefined;
  }

  /** Strides for a band of the given size. */
  layout(size: readonly number[]): Layout {
    if (this.plain) {
      const [, y, x] = this.#p.inSize;
      return { x, y, channel: product(this.#p.inSize), plane: 0, floats: SLACK };
    }
    const [z, y, x] = size.map((length, axis) => length + this.reach[axis].span);
    // Planes a multiple of 4 KiB apart would all fall into the same few cache sets.
    const channel = roundUp(z * y * x, 16) + 16;
    const plane = channel * this.#p.inChannels;
    const planes = product(this.reach.map((reach) => reach.residues.length));
    return { x, y, channel, plane, floats: plane * planes + SLACK };
  }

  /** Where an offset lies along one axis: in which residue's plane, and how many steps in. */
  place(axis: number, offset: number): readonly [plane: number, step: number] {
    const { residues, low } = this.reach[axis];
    const s = this.#p.inStride[axis];
    return [residues.indexOf(floorMod(offset, s)), Math.floor(offset / s) - low];
  }

  /** Positions of the padded axis that fall into the input, first and one past the last, and the input index of the first. */
  inside(box: Box, axis: number, residue: number): readonly [number, number, number] {
    const s = this.#p.inStride[axis];
    const extent = box.size[axis] + this.reach[axis].span;
    const origin = s * (box.from[axis] + this.reach[axis].low) + residue;
    const from = Math.min(extent, Math.max(0, Math.ceil(-origin / s)));
    const to = Math.max(from, Math.min(extent, Math.floor((this.#p.inSize[axis] - 1 - origin) / s) + 1));
    return [from, to, origin + from * s];
  }

  /**
   * Input rows of a band with zeros where there is no input, one plane per residue of the input stride.
   *
   * @param picture number of the picture, from where the input begins
   * @param from the first channel
   * @param all channels of a picture, of all groups
   */
  pad(list: CommandList, box: Box, layout: Layout, picture = 0, from = 0, all = this.#p.inChannels): void {
    const { inChannels, inSize, inStride, split = all, before } = this.#p;
    const [depth, height, width] = inSize;
    const [levelStep, rowStep, step] = inStride;
    const extent = box.size.map((length, axis) => length + this.reach[axis].span);
    const [levels, ys, xs] = extent;
    const parts = [
      { base: BASE.input, first: 0, end: split },
      { base: BASE.second, first: split, end: all },
    ];
    const [down, along, across] = this.reach.map(({ residues }) => residues);
    // All residues along a row in one pass, where there are all.
    const whole = SPLITS.some((n) => n === step && n === across.length);
    let plane = 0;
    for (const [rz, ry, rx] of combinations([down, along, across])) {
      const [z0, z1, zIn] = this.inside(box, 0, rz);
      const [y0, y1, yIn] = this.inside(box, 1, ry);
      const [x0, x1, xIn] = this.inside(box, 2, rx);
      for (let z = 0; z < levels; z++) {
        /** A command for rows of some of the channels. */
        const push = (
          name: string,
          source: number | readonly [number, number],
          [first, count]: readonly [number, number],
          [from, to]: readonly [number, number],
          ...line: readonly number[]
        ) => {
          const at = first * layout.channel + plane * layout.plane + (z * layout.y + from) * layout.x;
          const channels = [count, 4 * depth * height * width, 4 * layout.channel] as const;
          const rows = [to - from, 4 * rowStep * width, 4 * layout.x] as const;
          if (to > from) list.push(name, source, [BASE.work, 4 * at], ...channels, ...rows, ...line);
        };
        const zeros = (from: number, to: number) => push('pad', 0, [0, inChannels], [from, to], xs);
        /** One command for each part of the channels, which begins at the given position of a row. */
        const move = (name: string, x: number, ...line: readonly number[]) => {
          for (const { base, first, end } of parts) {
            const low = Math.max(from, first);
            const count = Math.min(from + inChannels, end) - low;
            const channel = picture * (end - first) + low - first;
            const row = (channel * depth + zIn + (z - z0) * levelStep) * height + yIn;
            if (count > 0) push(name, [base, 4 * (row * width + x)], [low - from, count], [y0, y1], ...line);
          }
        };
        if (z < z0 || z >= z1 || (!whole && x1 <= x0)) {
          zeros(0, ys);
          continue;
        }
        zeros(0, y0);
        if (!whole) move('pad', xIn, x0, x1 - x0, 4 * step, xs - x1);
        else if (rx === across[0]) {
          const origin = step * (box.from[2] + this.reach[2].low);
          move(`split${step}`, 0, origin, width, xs, 4 * layout.plane);
        }
        zeros(y1, ys);
      }
      plane++;
    }
    // Padding stays zero.
    const rows = { c: 0, row: 4 * layout.channel, positions: layout.channel, from: 0, bias: false };
    if (before !== undefined) activateRows(list, before, { ...rows, count: inChannels * plane });
  }
}
