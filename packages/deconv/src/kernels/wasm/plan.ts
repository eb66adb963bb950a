/**
 * plan: a dense problem cut into work for the microkernels: a list of commands per *band* of the output grid, the
 * tables they read, and how much memory they need. A plan depends on the shape alone; it is made once per shape, and
 * what changes from call to call (where the arrays lie) are the bases that its commands refer to.
 *
 * Per band:
 *   1. pad      the rows of the input that the band sees, with zeros around them and split by residue of the input
 *               stride, so that every tap of every strip is one contiguous row;
 *   2. packB    (many output rows, or very short image rows) those rows once more, strip by strip;
 *   3. gemm     rows (phases × channels) × positions of the band, K in blocks;
 *   4. store    from the small result buffer to the output, phases interleaved, bias added, averaged.
 */

import type { Activation } from '../../backend.js';
import { ACTIVATION } from './activations.js';
import { BASE, COMMAND_ARGUMENTS, COMMAND_WORDS, type Tile, WIDER } from './microkernels.js';
import type { AxisClass, Phase, Problem } from './problem.js';

/** Numbers of the commands by name. */
export type Commands = Readonly<Record<string, number>>;

type Argument = number | readonly [base: number, offset: number];

/** Builds a list of commands. */
export class CommandList {
  readonly words: number[] = [];
  readonly #commands: Commands;

  constructor(commands: Commands) {
    this.#commands = commands;
  }

  get length(): number {
    return this.words.length / COMMAND_WORDS;
  }

  /** Appends a command; arguments are numbers or [base, offset]. */
  push(name: string, ...given: readonly Argument[]): void {
    const number = this.#commands[name];
    if (number === undefined) throw new Error(`plan: no command ${name}`);
    this.words.push(number);
    for (let i = 0; i < COMMAND_ARGUMENTS; i++) {
      const argument = given[i] ?? 0;
      if (typeof argument === 'number') this.words.push(BASE.zero, argument);
      else this.words.push(argument[0], argument[1]);
    }
  }
}

/** Collects integers for the tables and tells where each run of them lies, in bytes. */
export class TableBuilder {
  readonly words: number[] = [];

  add(values: readonly number[]): number {
    const at = this.words.length * 4;
    for (const value of values) this.words.push(value);
    return at;
  }
}

/** Commands that follow each other in the list. */
export interface Stretch {
  readonly first: number;
  readonly count: number;
}

/** A stretch of commands, and by how much the bases move for it. */
export interface Item extends Stretch {
  readonly moves: Readonly<Partial<Record<keyof typeof BASE, number>>>;
}

/** Work for the kernels: stages one after the other, the items of a stage in any order on any thread. */
export interface Plan {
  readonly commands: Int32Array;
  readonly tables: Int32Array;
  readonly stages: readonly (readonly Item[])[];
  /** Which stages pack the weight: skipped while the packed weight is still good. */
  readonly packStages: number;
  /** Bytes of the packed weight. */
  readonly packedBytes: number;
  /** Bytes of work space per thread. */
  readonly workBytes: number;
  /** Bytes of a buffer that the threads fill together. */
  readonly sharedBytes: number;
  /** Useful floating-point operations, for deciding whether threads are worth waking. */
  readonly flops: number;
}

/** K is cut into blocks of this many rows: a strip's block of B stays in the first-level cache. */
export const K_BLOCK = 256;
/** Targets for the buffers of a band, in bytes: together they should stay in the second-level cache, or near it. */
const PADDED_TARGET = 640 * 1024;
const RESULT_TARGET = 512 * 1024;
/** Rows of results that a band should hold at a time, if there are so many. */
const MOST_ROWS = 256;
const PACKED_B_TARGET = 2 * 1024 * 1024;
/** From this many tiles on, B is read often enough to be packed. */
const PACK_FROM_TILES = 8;
/** Floats behind a buffer that vector loads may read, or stores may touch. */
export const SLACK = 64;
/** A block of A of more floats than this is streamed past the strips, rather than the strips past it. */
const A_STAYS_FLOATS = 48 * 1024;
/** Work below this is done by the calling thread alone. */
export const SHARE_FROM_FLOPS = 4e6;

const floorMod = (a: number, b: number) => ((a % b) + b) % b;
export const roundUp = (value: number, to: number) => Math.ceil(value / to) * to;
export const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);

/** Bytes between two places that lie `steps` strides apart on each axis of an array. */
export function shift(steps: readonly number[], stride: readonly number[], size: readonly number[]): number {
  const [z, y, x] = steps.map((step, axis) => step * stride[axis]);
  return 4 * ((z * size[1] + y) * size[2] + x);
}

/** What one axis of the padded input looks like: residues of the input stride, and the reach of the offsets. */
interface Reach {
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

/** Rows of the padded input that are packed together, strip by strip, and where a group finds its own among them. */
interface Packing {
  /** Table of the rows' byte offsets in the padded input, and their number. */
  readonly rows: number;
  readonly count: number;
  /** Per group of the packing: table of byte offsets within a strip, one per k. */
  readonly index: readonly number[];
}

/** A class of phases over all axes: one matrix product. */
interface Group {
  readonly axes: readonly [AxisClass, AxisClass, AxisClass];
  /** Phases along z, y, x, in the order of the rows. */
  readonly phases: readonly (readonly [Phase, Phase, Phase])[];
  readonly k: number;
  /** Byte offsets of the rows of B in the padded input, one per k. */
  readonly kTable: number;
  /** The same rows within a packed strip of their own. */
  readonly alone: Packing;
  /** Byte offsets of the taps in the weight, one per k. */
  readonly wTable: number;
}

interface Box {
  readonly from: readonly number[];
  readonly size: readonly number[];
}

/** How the positions of a band are laid into strips. */
interface Strips {
  /** 'rows': each row rounded up; 'flat': rows run on through the padding; 'short': several rows make one strip. */
  readonly kind: 'rows' | 'flat' | 'short';
  /** Floats from one row of the result to the next. */
  readonly pitch: number;
  /** Floats of one z-level of the result. */
  readonly level: number;
  /** Strips per run, runs per level, and the floats from one run to the next in the padded input. */
  readonly perRun: number;
  readonly runs: number;
  readonly runStep: number;
}

/** Strips of `nr` positions over one level of `rows` × `width`, whose rows lie `padded` floats apart in the input. */
function stripsOf(rows: number, width: number, padded: number, nr: number, short: boolean): Strips {
  const perStrip = nr / width;
  if (short && width >= 4 && (perStrip === 2 || perStrip === 4)) {
    const runs = Math.ceil(rows / perStrip);
    return { kind: 'short', pitch: width, level: runs * nr, perRun: 1, runs, runStep: perStrip * padded };
  }
  const byRow = roundUp(width, nr);
  const flat = roundUp((rows - 1) * padded + width, nr);
  if (flat < byRow * rows) {
    return { kind: 'flat', pitch: padded, level: flat, perRun: flat / nr, runs: 1, runStep: 0 };
  }
  return { kind: 'rows', pitch: byRow, level: byRow * rows, perRun: byRow / nr, runs: rows, runStep: padded };
}

/** A run of output channels, with where its panels lie, in bytes, one address per group. */
interface Block {
  readonly from: number;
  readonly count: number;
  readonly panels: readonly number[];
}

/** Where the result of one group of one block lies in the work space. */
interface Result {
  readonly at: number;
  /** Bytes from one row (channel) to the next. */
  readonly row: number;
  /** Floats of a row that hold results. */
  readonly positions: number;
  readonly strips: Strips;
}

/** Strips of B that have been packed, and where in the work space. */
interface Packed {
  readonly packing: Packing;
  readonly at: number;
  readonly strips: Strips;
}

/** Strides of the padded input of a band, in floats. */
interface Layout {
  readonly x: number;
  readonly y: number;
  readonly channel: number;
  readonly plane: number;
  readonly floats: number;
}

/** Makes the plan of forward or inputGrad. */
class DensePlanner {
  readonly #p: Problem;
  readonly #tile: Tile;
  readonly #list: CommandList;
  readonly #tables = new TableBuilder();
  readonly #reach: readonly Reach[];
  /** Grid length per axis. */
  readonly #grid: readonly number[];
  readonly #bias: boolean;
  readonly #scale: boolean;
  readonly #activation: Activation | undefined;
  /** One packing for all groups, if there are several: neighbouring phases see mostly the same rows. */
  #together: Packing | undefined;
  #groups: readonly Group[] = [];
  #layout: Layout;
  /** The input needs no padding and no splitting: its rows are read where they are. */
  readonly #plain: boolean;
  /** Floats from the start of the input to the band under way, when it is read where it is. */
  #origin = 0;
  #workBytes = 0;

  constructor(p: Problem, { tile, commands, bias, scale, activation }: DenseOptions) {
    this.#p = p;
    this.#tile = tile;
    this.#list = new CommandList(commands);
    this.#bias = bias;
    this.#scale = scale;
    this.#activation = activation;
    this.#reach = p.classes.map((classes, axis) => reachOf(classes, p.inStride[axis]));
    this.#grid = p.classes.map((classes) => Math.max(1, ...classes.map((c) => c.count)));
    this.#plain = this.#reach.every(({ low, span, residues }, axis) => {
      const inside = this.#grid[axis] <= p.inSize[axis];
      return low === 0 && span === 0 && residues.join() === '0' && p.inStride[axis] === 1 && inside;
    });
    this.#layout = this.#layoutOf(this.#grid);
  }

  #layoutOf(size: readonly number[]): Layout {
    if (this.#plain) {
      const [, y, x] = this.#p.inSize;
      return { x, y, channel: product(this.#p.inSize), plane: 0, floats: SLACK };
    }
    const [z, y, x] = size.map((length, axis) => length + this.#reach[axis].span);
    // Planes a multiple of 4 KiB apart would all fall into the same few cache sets.
    const channel = roundUp(z * y * x, 16) + 16;
    const plane = channel * this.#p.inChannels;
    const planes = product(this.#reach.map((reach) => reach.residues.length));
    return { x, y, channel, plane, floats: plane * planes + SLACK };
  }

  /** Cuts the grid into bands whose buffers keep to the targets; at least `least` of them if the grid allows. */
  #bandSize(rows: number, allRows: number, k: number, least: number): number[] {
    const grid = this.#grid;
    const size = [...grid];
    const { nr, mr } = this.#tile;
    const count = () => size.reduce((n, length, axis) => n * Math.ceil(grid[axis] / length), 1);
    const tooLarge = () => {
      const positions = size[0] * size[1] * roundUp(size[2], nr);
      return (
        this.#layoutOf(size).floats * 4 > PADDED_TARGET ||
        Math.min(allRows, MOST_ROWS) * positions * 4 > RESULT_TARGET ||
        (rows >= PACK_FROM_TILES * mr && k * positions * 4 > PACKED_B_TARGET)
      );
    };
    const cut = (axis: number, unit: number): boolean => {
      if (size[axis] <= unit) return false;
      const parts = Math.ceil(grid[axis] / size[axis]) + 1;
      const even = roundUp(Math.ceil(grid[axis] / parts), unit);
      size[axis] = Math.max(unit, Math.min(size[axis] - 1, even));
      return true;
    };
    while (tooLarge() && (cut(0, 1) || cut(1, 1) || cut(2, 4 * nr))) {}
    while (count() < least && (cut(0, 1) || cut(1, 1))) {}
    return size;
  }

  plan(batch: number, groups: number): Plan {
    const p = this.#p;
    const flops = this.#flops(batch * groups);
    const combos = p.classes[0].flatMap((z) =>
      p.classes[1].flatMap((y) => p.classes[2].map((x) => [z, y, x] as const)),
    );
    const rows = combos.map((axes) => product(axes.map((c) => c.phases.length)) * p.outChannels);
    const allRows = rows.reduce((sum, count) => sum + count, 0);
    // Distinct rows of B, should all groups be packed together.
    const depth =
      p.inChannels * product(p.classes.map((list) => new Set(list.flatMap((c) => c.offsets)).size));
    // Enough items for a few threads to share evenly, unless the work is too small to share at all.
    const shared = flops >= SHARE_FROM_FLOPS;
    const least = shared ? Math.ceil(8 / Math.max(1, batch * groups)) : 1;
    const size = this.#bandSize(Math.max(1, ...rows), allRows, depth, least);
    this.#layout = this.#layoutOf(size);
    const rowsOf = new Map<Group, readonly number[]>();
    this.#groups = combos.map((axes) => this.#group(axes, rowsOf));
    if (combos.length > 1)
      this.#together = this.#packingOf(this.#groups.map((group) => rowsOf.get(group) ?? []));

    const { blocks, packedFloats, packs } = this.#packing(size);
    const grid = this.#grid;
    const bandCount = size.reduce((n, length, axis) => n * Math.ceil(grid[axis] / length), 1);
    const parts = shared && batch * groups * bandCount < 4 ? blocks.map((block) => [block]) : [blocks];
    // Bands that differ by their place alone share their commands; how far they lie apart becomes a shift of the bases.
    const known = new Map<
      string,
      { readonly from: readonly number[]; readonly stretches: readonly Stretch[] }
    >();
    const bands: { readonly stretch: Stretch; readonly input: number; readonly output: number }[] = [];
    for (let z = 0; z < grid[0]; z += size[0]) {
      for (let y = 0; y < grid[1]; y += size[1]) {
        for (let x = 0; x < grid[2]; x += size[2]) {
          const from = [z, y, x];
          const box = { from, size: size.map((length, axis) => Math.min(length, grid[axis] - from[axis])) };
          const shape = this.#shapeOf(box);
          let like = known.get(shape);
          if (like === undefined) {
            const stretches = parts.map((part) => {
              const first = this.#list.length;
              this.#band(box, part);
              return { first, count: this.#list.length - first };
            });
            like = { from, stretches };
            known.set(shape, like);
          }
          const steps = from.map((at, axis) => at - (like as { from: readonly number[] }).from[axis]);
          const input = shift(steps, p.inStride, p.inSize);
          const output = shift(steps, p.outStride, p.outSize);
          for (const stretch of like.stretches) bands.push({ stretch, input, output });
        }
      }
    }
    const weightBytes = p.outChannels * p.inChannels * product(p.kernelSize) * 4;
    const inBytes = p.inChannels * product(p.inSize) * 4;
    const outBytes = p.outChannels * product(p.outSize) * 4;
    const packItems: Item[] = [];
    const items: Item[] = [];
    for (let g = 0; g < groups; g++) {
      const packed = g * packedFloats * 4;
      for (const pack of packs) packItems.push({ ...pack, moves: { weight: g * weightBytes, packed } });
    }
    for (let n = 0; n < batch; n++) {
      for (let g = 0; g < groups; g++) {
        const [input, output] = [(n * groups + g) * inBytes, (n * groups + g) * outBytes];
        const packed = g * packedFloats * 4;
        const bias = this.#bias ? g * p.outChannels * 4 : 0;
        for (const band of bands) {
          const moves = {
            input: input + band.input,
            output: output + band.output,
            scale: band.output,
            packed,
            bias,
          };
          items.push({ ...band.stretch, moves });
        }
      }
    }
    return {
      commands: Int32Array.from(this.#list.words),
      tables: Int32Array.from(this.#tables.words),
      stages: [packItems, items],
      packStages: 1,
      packedBytes: packedFloats * groups * 4 + SLACK * 4,
      workBytes: this.#workBytes,
      sharedBytes: 0,
      flops,
    };
  }

  /** What the commands of a band depend on, besides its place. */
  #shapeOf(box: Box): string {
    const perAxis = box.size.map((length, axis) => {
      const inside = this.#reach[axis].residues.map((residue) =>
        this.#inside(box, axis, residue).slice(0, 2),
      );
      const ranges = this.#p.classes[axis].map((c) => c.phases.map((phase) => this.#range(box, axis, phase)));
      return [length, inside, ranges.map((list) => list.map(({ local, count }) => [local, count]))];
    });
    return JSON.stringify(perAxis);
  }

  /** Positions of the padded axis that fall into the input, first and one past the last, and the input index of the first. */
  #inside(box: Box, axis: number, residue: number): readonly [number, number, number] {
    const s = this.#p.inStride[axis];
    const extent = box.size[axis] + this.#reach[axis].span;
    const origin = s * (box.from[axis] + this.#reach[axis].low) + residue;
    const from = Math.min(extent, Math.max(0, Math.ceil(-origin / s)));
    const to = Math.max(from, Math.min(extent, Math.floor((this.#p.inSize[axis] - 1 - origin) / s) + 1));
    return [from, to, origin + from * s];
  }

  /** The part of a phase that a band holds: its first grid position in the band, its length, and its first output. */
  #range(box: Box, axis: number, phase: Phase): { local: number; count: number; out: number } {
    const from = Math.max(phase.lead, box.from[axis]);
    const to = Math.min(phase.lead + phase.count, box.from[axis] + box.size[axis]);
    const out = (from - phase.lead) * this.#p.outStride[axis] + phase.start;
    return { local: from - box.from[axis], count: to - from, out };
  }

  #flops(times: number): number {
    const p = this.#p;
    const perAxis = p.classes.map((classes) =>
      classes.reduce((n, c) => n + c.phases.reduce((m, phase) => m + phase.count, 0) * c.offsets.length, 0),
    );
    return 2 * times * p.inChannels * p.outChannels * product(perAxis);
  }

  /** One packing for groups that each see the given rows: every distinct row once. */
  #packingOf(rows: readonly (readonly number[])[]): Packing {
    const places = new Map<number, number>();
    for (const row of rows.flat()) if (!places.has(row)) places.set(row, places.size);
    const index = rows.map((own) =>
      this.#tables.add(own.map((row) => 4 * this.#tile.nr * (places.get(row) ?? 0))),
    );
    return { rows: this.#tables.add([...places.keys()]), count: places.size, index };
  }

  #group(axes: readonly [AxisClass, AxisClass, AxisClass], rowsOf: Map<Group, readonly number[]>): Group {
    const p = this.#p;
    const { plane, channel, y: height, x: width } = this.#layout;
    const residues = this.#reach.map((reach) => reach.residues.length);
    // Where an offset lies along one axis: in which residue's plane, and how many steps in.
    const place = (axis: number, offset: number): [number, number] => {
      const { residues: list, low } = this.#reach[axis];
      const s = p.inStride[axis];
      return [list.indexOf(floorMod(offset, s)), Math.floor(offset / s) - low];
    };
    const [, kh, kw] = p.kernelSize;
    const rows: number[] = [];
    const taps: number[] = [];
    for (const [a, dz] of axes[0].offsets.entries()) {
      const [rz, z] = place(0, dz);
      for (const [b, dy] of axes[1].offsets.entries()) {
        const [ry, y] = place(1, dy);
        for (const [c, dx] of axes[2].offsets.entries()) {
          const [rx, x] = place(2, dx);
          rows.push(((rz * residues[1] + ry) * residues[2] + rx) * plane + (z * height + y) * width + x);
          taps.push((axes[0].steps[a] * kh + axes[1].steps[b]) * kw + axes[2].steps[c]);
        }
      }
    }
    // Input channels outermost: neighbouring taps of one channel share cache lines.
    const channels = Array.from({ length: p.inChannels }, (_, i) => i);
    const offsets = channels.flatMap((i) => rows.map((row) => 4 * (i * channel + row)));
    const kTable = this.#tables.add(offsets);
    const index = this.#tables.add(offsets.map((_, at) => 4 * this.#tile.nr * at));
    const alone = { rows: kTable, count: offsets.length, index: [index] };
    const wTable = this.#tables.add(channels.flatMap((i) => taps.map((tap) => 4 * (i * p.weightIn + tap))));
    const phases = axes[0].phases.flatMap((z) =>
      axes[1].phases.flatMap((y) => axes[2].phases.map((x) => [z, y, x] as const)),
    );
    const group = { axes, phases, k: offsets.length, kTable, alone, wTable };
    rowsOf.set(group, offsets);
    return group;
  }

  /** Blocks of output channels whose results fit the buffer, the place of their panels, and the commands that pack them. */
  #packing(size: readonly number[]) {
    const { mr, nr } = this.#tile;
    const positions = size[0] * size[1] * roundUp(size[2] + this.#reach[2].span, nr);
    const phases = this.#groups.reduce((n, group) => n + group.phases.length, 0);
    const fit = Math.max(1, Math.floor(RESULT_TARGET / (phases * positions * 4)));
    const channels = this.#p.outChannels;
    const step = fit >= channels ? channels : fit > mr ? Math.floor(fit / mr) * mr : fit;
    const blocks: Block[] = [];
    const commands: number[] = [];
    const [, kh, kw] = this.#p.kernelSize;
    let at = 0;
    for (let from = 0; from < channels; from += step) {
      const count = Math.min(step, channels - from);
      const panels = this.#groups.map((group) => {
        const start = at * 4;
        const rows = group.phases.flatMap(([z, y, x]) => {
          const tap = (z.tap * kh + y.tap) * kw + x.tap;
          return Array.from({ length: count }, (_, o) => 4 * ((from + o) * this.#p.weightOut + tap));
        });
        const rowTable = this.#tables.add(rows);
        for (let r = 0; r < rows.length; r += mr) {
          const height = Math.min(mr, rows.length - r);
          commands.push(this.#list.length);
          this.#list.push(
            'packA',
            [BASE.weight, 0],
            [BASE.packed, at * 4],
            [BASE.tables, rowTable + 4 * r],
            height,
            [BASE.tables, group.wTable],
            group.k,
          );
          at += height * group.k;
        }
        return start;
      });
      blocks.push({ from, count, panels });
    }
    // Panels are small; a handful of them make an item.
    const per = Math.max(1, Math.ceil(commands.length / 16));
    const packs = commands
      .filter((_, i) => i % per === 0)
      .map((first, i) => ({ first, count: Math.min(per, commands.length - i * per) }));
    return { blocks, packedFloats: at, packs };
  }

  /** The commands of one band. */
  #band(box: Box, blocks: readonly Block[]): void {
    const { mr, nr } = this.#tile;
    if (this.#plain)
      this.#origin = (box.from[0] * this.#layout.y + box.from[1]) * this.#layout.x + box.from[2];
    else this.#pad(box);
    // The part of the band that each class reaches.
    const reached = this.#groups.map(({ axes }) =>
      box.size.map((length, axis) => Math.max(0, Math.min(length, axes[axis].count - box.from[axis]))),
    );
    // Rows read where they are may lie a power of two apart: packed, they do not fight for the same cache sets.
    const packFrom = this.#plain ? mr + 1 : PACK_FROM_TILES * mr;
    const fits = (count: number, strips: Strips, levels: number) =>
      4 * count * strips.level * levels <= PACKED_B_TARGET;
    const worth = (group: Group, channels: number, strips: Strips) =>
      strips.kind === 'short' || group.phases.length * channels >= packFrom;
    const channels = blocks.reduce((sum, block) => sum + block.count, 0);

    // All groups' rows packed once for the whole band, if they reach equally far and it is worth it.
    let start = this.#layout.floats * 4;
    const packing = this.#together ?? this.#groups[0]?.alone;
    const [[levels, height, width]] = reached;
    const alike = reached.every((size) => size.join() === reached[0].join() && !size.includes(0));
    let common: Packed | undefined;
    if (alike && packing !== undefined) {
      const strips = stripsOf(height, width, this.#layout.x, nr, true);
      if (
        fits(packing.count, strips, levels) &&
        this.#groups.some((group) => worth(group, channels, strips))
      ) {
        common = { packing, at: start, strips };
        this.#packStrips(common, levels);
        start += 4 * (packing.count * strips.level * levels + SLACK);
      }
    }
    for (const block of blocks) {
      let at = start;
      const results: Result[] = [];
      for (const [which, group] of this.#groups.entries()) {
        const size = reached[which];
        const rows = group.phases.length * block.count;
        const { x } = this.#layout;
        let strips = common?.strips ?? stripsOf(size[1], size[2], x, nr, true);
        let packs =
          common === undefined && worth(group, block.count, strips) && fits(group.k, strips, size[0]);
        if (common === undefined && strips.kind === 'short' && !packs) {
          strips = stripsOf(size[1], size[2], x, nr, false);
          packs = worth(group, block.count, strips) && fits(group.k, strips, size[0]);
        }
        const row = 4 * (roundUp(strips.level * size[0], 16) + 16);
        const result = { at, row, positions: strips.level * size[0], strips };
        results.push(result);
        at += rows * row + SLACK * 4;
        this.#workBytes = Math.max(this.#workBytes, at);
        if (size.includes(0)) continue;
        const panel = block.panels[which];
        if (common !== undefined) {
          this.#multiplyPacked(group, panel, rows, size[0], result, common, which);
        } else if (packs) {
          const own = { packing: group.alone, at, strips };
          this.#packStrips(own, size[0]);
          this.#multiplyPacked(group, panel, rows, size[0], result, own, 0);
          this.#workBytes = Math.max(this.#workBytes, at + 4 * (group.k * result.positions + SLACK));
        } else {
          this.#multiply(group, panel, rows, size[0], result);
        }
      }
      if (this.#activation !== undefined) this.#activate(this.#activation, block, results);
      this.#store(box, block, results);
    }
  }

  /** Bias and activation, in the result buffer: its rows are contiguous, those of the output are not. */
  #activate({ fn, parameters }: Activation, block: Block, results: readonly Result[]): void {
    const bias = this.#bias ? ([BASE.bias, 4 * block.from] as const) : 0;
    const [p0, p1] = new Int32Array(Float32Array.of(parameters[0] ?? 0, parameters[1] ?? 0).buffer);
    for (const [which, group] of this.#groups.entries()) {
      const { at, row, positions } = results[which];
      for (const number of group.phases.keys()) {
        const c = [BASE.work, at + number * block.count * row] as const;
        const bias1 = this.#bias ? 4 : 0;
        this.#list.push('activate', c, block.count, row, bias, bias1, positions, ACTIVATION[fn], p0, p1);
      }
    }
  }

  /** Input rows of a band with zeros where there is no input, one plane per residue of the input stride. */
  #pad(box: Box): void {
    const p = this.#p;
    const layout = this.#layout;
    const [depth, height, width] = p.inSize;
    const { inChannels, inStride } = p;
    const extent = box.size.map((length, axis) => length + this.#reach[axis].span);
    let plane = 0;
    for (const rz of this.#reach[0].residues) {
      for (const ry of this.#reach[1].residues) {
        for (const rx of this.#reach[2].residues) {
          const [z0, z1, zIn] = this.#inside(box, 0, rz);
          const [y0, y1, yIn] = this.#inside(box, 1, ry);
          const [x0, x1, xIn] = this.#inside(box, 2, rx);
          for (let z = 0; z < extent[0]; z++) {
            const at = (y: number) => 4 * (plane * layout.plane + (z * layout.y + y) * layout.x);
            const zeros = (from: number, to: number) => {
              if (to <= from) return;
              const dst = [BASE.work, at(from)] as const;
              this.#list.push(
                'pad',
                0,
                dst,
                inChannels,
                0,
                4 * layout.channel,
                to - from,
                0,
                4 * layout.x,
                extent[2],
              );
            };
            const [from, to] = z >= z0 && z < z1 && x1 > x0 ? [y0, y1] : [extent[1], extent[1]];
            zeros(0, from);
            if (to > from) {
              const source = ((zIn + (z - z0) * inStride[0]) * height + yIn) * width + xIn;
              this.#list.push(
                'pad',
                [BASE.input, 4 * source],
                [BASE.work, at(from)],
                inChannels,
                4 * depth * height * width,
                4 * layout.channel,
                to - from,
                4 * inStride[1] * width,
                4 * layout.x,
                x0,
                x1 - x0,
                4 * inStride[2],
                extent[2] - x1,
              );
            }
            zeros(to, extent[1]);
          }
          plane++;
        }
      }
    }
  }

  /** Address of a row of the padded input of the band under way, or of the input itself. */
  #source(floats: number): readonly [number, number] {
    return this.#plain ? [BASE.input, 4 * (this.#origin + floats)] : [BASE.work, 4 * floats];
  }

  /** Full tiles, then the rows that are left, for the given steps of tiles and strips. */
  #tiles(rows: number, emit: (height: number, count: number, firstRow: number) => void): void {
    const { mr } = this.#tile;
    const full = Math.floor(rows / mr);
    if (full > 0) emit(mr, full, 0);
    if (rows > full * mr) emit(rows - full * mr, 1, full * mr);
  }

  /** Rows of B straight from the padded input. */
  #multiply(group: Group, panel: number, rows: number, levels: number, { at, row, strips }: Result): void {
    const { nr } = this.#tile;
    const level = this.#layout.y * this.#layout.x;
    for (let k = 0; k === 0 || k < group.k; k += K_BLOCK) {
      const depth = Math.min(K_BLOCK, group.k - k);
      for (let z = 0; z < levels; z++) {
        this.#tiles(rows, (height, count, firstRow) => {
          const a = [BASE.packed, panel + 4 * (firstRow * group.k + k * height)] as const;
          const table = [BASE.tables, group.kTable + 4 * k] as const;
          const tile = [count, 4 * height * group.k, 0, height * row] as const;
          const fresh = k === 0 ? 1 : 0;
          const wider = WIDER.find(([few]) => few === height);
          for (let run = 0; run < strips.runs; run++) {
            const emit = (name: string, skip: number, count: number, step: number) => {
              const b = this.#source(z * level + run * strips.runStep + skip * nr);
              const position = z * strips.level + (run * strips.perRun + skip) * nr;
              const c = [BASE.work, at + firstRow * row + 4 * position] as const;
              const strip = [count, 0, 4 * nr * step, 4 * nr * step] as const;
              if (count > 0) this.#list.push(name, a, b, table, depth, c, row, fresh, ...strip, ...tile);
            };
            // Wider tiles by whole strips (three strips make two tiles of one and a half), then what is left.
            const unit = wider === undefined ? 1 : Number.isInteger(wider[1]) ? wider[1] : 2 * wider[1];
            const whole = wider === undefined ? 0 : Math.floor(strips.perRun / unit) * unit;
            if (wider !== undefined) emit(`wider${height}`, 0, whole / wider[1], wider[1]);
            emit(`gemm${height}`, whole, strips.perRun - whole, 1);
          }
        });
      }
    }
  }

  /** Rows of B, packed strip by strip. */
  #packStrips({ packing, at, strips }: Packed, levels: number): void {
    const { nr } = this.#tile;
    const { x: width, y: height } = this.#layout;
    const stripBytes = 4 * nr * packing.count;
    // Second vector, and second pair of vectors, of a strip: further along the row, or in the next rows.
    const short = strips.kind === 'short';
    const d1 = short && strips.pitch === 4 ? 4 * width : 16;
    const d2 = short ? 4 * width * (strips.pitch === 4 ? 2 : 1) : 32;
    const table = [BASE.tables, packing.rows] as const;
    const perLevel = strips.perRun * strips.runs;
    const { count } = packing;
    for (let z = 0; z < levels; z++) {
      const source = (run: number) => this.#source(z * height * width + run * strips.runStep);
      const target = (run: number) =>
        [BASE.work, at + (z * perLevel + run * strips.perRun) * stripBytes] as const;
      if (strips.perRun === 1) {
        this.#list.push('packB', source(0), target(0), table, count, strips.runs, 4 * strips.runStep, d1, d2);
      } else {
        for (let run = 0; run < strips.runs; run++) {
          this.#list.push('packB', source(run), target(run), table, count, strips.perRun, 4 * nr, d1, d2);
        }
      }
    }
  }

  /** Rows of B from packed strips; `which` is the group's number in the packing. */
  #multiplyPacked(
    group: Group,
    panel: number,
    rows: number,
    levels: number,
    { at, row, strips }: Result,
    packed: Packed,
    which: number,
  ): void {
    const { nr } = this.#tile;
    const stripBytes = 4 * nr * packed.packing.count;
    const count = strips.perRun * strips.runs * levels;
    for (let k = 0; k === 0 || k < group.k; k += K_BLOCK) {
      const depth = Math.min(K_BLOCK, group.k - k);
      this.#tiles(rows, (tileRows, tiles, firstRow) => {
        const a = [BASE.packed, panel + 4 * (firstRow * group.k + k * tileRows)] as const;
        const b = [BASE.work, packed.at] as const;
        const table = [BASE.tables, packed.packing.index[which] + 4 * k] as const;
        const c = [BASE.work, at + firstRow * row] as const;
        const tile = [tiles, 4 * tileRows * group.k, 0, tileRows * row] as const;
        const strip = [count, 0, stripBytes, 4 * nr] as const;
        // The outer loop is over what would not stay in the cache if it were inner.
        const order = tiles * tileRows * depth > A_STAYS_FLOATS ? [...tile, ...strip] : [...strip, ...tile];
        this.#list.push(`gemm${tileRows}`, a, b, table, depth, c, row, k === 0 ? 1 : 0, ...order);
      });
    }
  }

  /** Results of a block to the output: each phase to its residue, two neighbouring ones together where that is possible. */
  #store(box: Box, block: Block, results: readonly Result[]): void {
    const p = this.#p;
    const [, height, width] = p.outSize;
    const outPlane = 4 * product(p.outSize);
    const biased = this.#bias && this.#activation === undefined;
    const bias = biased ? ([BASE.bias, 4 * block.from] as const) : 0;
    const bias1 = biased ? 4 : 0;
    const lines = new Map<string, Line[]>();
    for (const [which, group] of this.#groups.entries()) {
      const { at, row, strips } = results[which];
      for (const [number, phases] of group.phases.entries()) {
        const range = phases.map((phase, axis) => this.#range(box, axis, phase));
        if (range.some(({ count }) => count <= 0)) continue;
        const [z, y, x] = range;
        const c =
          at + number * block.count * row + 4 * (z.local * strips.level + y.local * strips.pitch + x.local);
        const out = (z.out * height + y.out) * width + x.out;
        const line = {
          c,
          row,
          pitch: 4 * strips.pitch,
          level: 4 * strips.level,
          out,
          z: z.count,
          y: y.count,
          x: x.count,
        };
        const key = `${z.out}:${y.out}`;
        lines.set(key, [...(lines.get(key) ?? []), line]);
      }
    }
    const [tz, ty, tx] = p.outStride;
    for (const list of lines.values()) {
      const waiting = [...list].sort((a, b) => a.out - b.out);
      while (waiting.length > 0) {
        const together = this.#scale ? 1 : neighbours(waiting, tx);
        const [line, next] = waiting.splice(0, together);
        for (let z = 0; z < line.z; z++) {
          const c = [BASE.work, line.c + z * line.level] as const;
          const inPlane = 4 * (line.out + z * tz * height * width);
          const out = [BASE.output, 4 * block.from * product(p.outSize) + inPlane] as const;
          const channel = [block.count, line.row, outPlane, bias1] as const;
          const rows = [line.y, line.pitch, 4 * ty * width] as const;
          if (together === 4) {
            this.#list.push('store4', c, next.c - line.c, out, bias, ...channel, ...rows, line.x, 4 * tx);
          } else if (together === 2) {
            const d = [BASE.work, next.c + z * next.level] as const;
            this.#list.push('store2', c, d, out, bias, ...channel, ...rows, line.x);
          } else {
            const scale = this.#scale ? ([BASE.scale, inPlane] as const) : 0;
            this.#list.push('store', c, out, bias, scale, ...channel, ...rows, line.x, 4 * tx);
          }
        }
      }
    }
  }
}

/** How many of the first lines (4, 2 or 1) lie side by side in the output, alike enough to be stored together. */
function neighbours(lines: readonly Line[], step: number): number {
  const [a, b] = lines;
  const alike = (line: Line | undefined, i: number) =>
    line !== undefined &&
    line.out === a.out + i &&
    line.x === a.x &&
    line.row === a.row &&
    line.pitch === a.pitch &&
    line.level === a.level;
  if (step === 2) return alike(b, 1) ? 2 : 1;
  if (step < 4) return 1;
  const even = (i: number) => alike(lines[i], i) && lines[i].c - a.c === i * (b.c - a.c);
  return even(1) && even(2) && even(3) ? 4 : 1;
}

/** One phase of a block's result, and where it goes: offsets in bytes within the work space, in floats in the output. */
interface Line {
  readonly c: number;
  readonly row: number;
  readonly pitch: number;
  readonly level: number;
  readonly out: number;
  readonly z: number;
  readonly y: number;
  readonly x: number;
}

/** What a dense plan is made for, besides its problem. */
export interface DenseOptions {
  readonly tile: Tile;
  readonly commands: Commands;
  /** There is a bias. */
  readonly bias: boolean;
  /** Outputs are multiplied by a plane of factors; not together with an activation. */
  readonly scale: boolean;
  readonly activation?: Activation | undefined;
}

/** The plan of a dense problem for `batch` pictures and `groups` groups of channels. */
export function planDense(problem: Problem, batch: number, groups: number, options: DenseOptions): Plan {
  return new DensePlanner(problem, options).plan(batch, groups);
}
