/**
 * band-input: the input as a band sees it: padded, and split by residue of the input stride so that every tap of every
 * strip is one contiguous row. Where nothing is to be padded or split, the input itself.
 */
import { BASE, type CommandList, product, roundUp, SLACK } from './commands.js';
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

  /** Where the channels from `from` on lie, of the picture `picture`, each of which has `all`. */
  #sources(picture: number, from: number, all: number) {
    const { inChannels, inSize, split = all } = this.#p;
    const parts = [
      { base: BASE.input, first: 0, end: split },
      { base: BASE.second, first: split, end: all },
    ];
    return parts.flatMap(({ base, first, end }) => {
      const [low, high] = [Math.max(from, first), Math.min(from + inChannels, end)];
      const at = 4 * product(inSize) * (picture * (end - first) + low - first);
      return high > low ? [{ base, at, count: high - low, to: low - from }] : [];
    });
  }

  /**
   * Input rows of a band with zeros where there is no input, one plane per residue of the input stride.
   *
   * @param picture number of the picture, from where the input begins
   * @param from the first channel
   * @param all channels of a picture, of all groups
   */
  pad(list: CommandList, box: Box, layout: Layout, picture = 0, from = 0, all = this.#p.inChannels): void {
    const p = this.#p;
    const [depth, height, width] = p.inSize;
    const { inChannels, inStride } = p;
    const sources = this.#sources(picture, from, all);
    const extent = box.size.map((length, axis) => length + this.reach[axis].span);
    const [, , across] = this.reach.map(({ residues }) => residues);
    // All residues along a row in one pass, where there are all.
    const whole = SPLITS.some((step) => step === inStride[2] && step === across.length);
    let plane = 0;
    for (const rz of this.reach[0].residues) {
      for (const ry of this.reach[1].residues) {
        const [z0, z1, zIn] = this.inside(box, 0, rz);
        const [y0, y1, yIn] = this.inside(box, 1, ry);
        for (const [number, rx] of across.entries()) {
          const [x0, x1, xIn] = this.inside(box, 2, rx);
          for (let z = 0; z < extent[0]; z++) {
            const at = (y: number) =>
              [BASE.work, 4 * (plane * layout.plane + (z * layout.y + y) * layout.x)] as const;
            const inPlane = (x: number) => 4 * (((zIn + (z - z0) * inStride[0]) * height + yIn) * width + x);
            const channels = (count: number) =>
              [count, 4 * depth * height * width, 4 * layout.channel] as const;
            const rows = (count: number) => [count, 4 * inStride[1] * width, 4 * layout.x] as const;
            const zeros = (from: number, to: number) => {
              if (to > from)
                list.push('pad', 0, at(from), ...channels(inChannels), ...rows(to - from), extent[2]);
            };
            const seen = z >= z0 && z < z1 && (whole || x1 > x0);
            const [from, to] = seen ? [y0, y1] : [extent[1], extent[1]];
            zeros(0, from);
            /** One command for each part of the channels, which begins at the given position of a row. */
            const move = (name: string, x: number, ...line: readonly number[]) => {
              for (const { base, at: start, count, to: channel } of sources) {
                const target = [BASE.work, at(from)[1] + 4 * channel * layout.channel] as const;
                const source = [base, start + inPlane(x)] as const;
                list.push(name, source, target, ...channels(count), ...rows(to - from), ...line);
              }
            };
            if (to > from && whole) {
              const origin = inStride[2] * (box.from[2] + this.reach[2].low);
              if (number === 0) move(`split${across.length}`, 0, origin, width, extent[2], 4 * layout.plane);
            } else if (to > from) move('pad', xIn, x0, x1 - x0, 4 * inStride[2], extent[2] - x1);
            zeros(to, extent[1]);
          }
          plane++;
        }
      }
    }
    // Padding stays zero.
    const rows = { c: 0, row: 4 * layout.channel, positions: layout.channel, from: 0, bias: false };
    if (p.before !== undefined) activateRows(list, p.before, { ...rows, count: inChannels * plane });
  }
}
