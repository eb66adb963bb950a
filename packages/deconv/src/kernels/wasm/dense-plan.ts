/**
 * dense-plan: a dense problem cut into work for the microkernels: a list of commands per *band* of the output grid, the
 * tables they read, and how much memory they need. A plan depends on the shape alone; it is made once per shape, and
 * what changes from call to call (where the arrays lie) are the bases that its commands refer to.
 *
 * Per band:
 *   1. pad      the rows of the input that the band sees, with zeros around them and split by residue of the input
 *               stride, so that every tap of every strip is one contiguous row;
 *   2. packB    (many output rows, or very short image rows) those rows once more, strip by strip;
 *   3. gemm     rows (phases × channels) × positions of the band, K in blocks;
 *   4. store    from the small result buffer to the output, phases interleaved, bias added, averaged.
 *
 * Where the sums lie as the outputs do, and K is one block, gemm stores them at once, bias and all.
 */

import type { Activation } from '../../backend.js';
import { range } from '../../shape.js';
import { BandInput, type Box } from './band-input.js';
import { type Line, rangeOf, storeBand } from './band-output.js';
import { cutGrid, PACKED_B_TARGET, packFromRows } from './band-size.js';
import { combinations, eachTile, flopsOf, gridOf, layBands } from './bands.js';
import * as BASE from './bases.js';
import {
  CommandList,
  type Commands,
  K_BLOCK,
  type Plan,
  product,
  roundUp,
  SHARE_FROM_FLOPS,
  SLACK,
  TableBuilder,
} from './commands.js';
import { activateRows, bitsOf, endingOf } from './ending.js';
import { mergeFew } from './few-rows.js';
import { layItems } from './items.js';
import { kernelsFor, type Tile } from './microkernels.js';
import { type Block, cutChannels, layPanels, type PanelGroup, PLAIN_RUN_TILES, RUN_TILES } from './panels.js';
import type { AxisClass, Problem } from './problem.js';
import { type Strips, stripsOf } from './strips.js';

/** Items that work worth sharing is cut into, if it allows. */
export const ITEMS = 8;
/** A block of A of more floats than this is streamed past the strips, rather than the strips past it. */
export const A_STAYS_FLOATS = 48 * 1024;

/** Rows of the padded input that are packed together, strip by strip, and where a group finds its own among them. */
interface Packing {
  /** Table of the rows' byte offsets in the padded input, and their number. */
  readonly rows: number;
  readonly count: number;
  /** Per group of the packing: table of byte offsets within a strip, one per k. */
  readonly index: readonly number[];
}

/** A class of phases over all axes: one matrix product. */
interface Group extends PanelGroup {
  readonly axes: readonly [AxisClass, AxisClass, AxisClass];
  /** Byte offsets of the rows of B in the padded input, one per k. */
  readonly kTable: number;
  /** The same rows within a packed strip of their own. */
  readonly alone: Packing;
}

/** A product whose sums are added to some rows of the group's: taps that only some of its phases see. */
interface Addend extends Group {
  /** The first of these rows, per output channel of the block, and how far they lie apart. */
  readonly from: number;
  readonly apart: number;
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

/** A result that goes to the output at once: bytes from its beginning, from channel to channel, and from run to run. */
interface Straight {
  readonly out: number;
  readonly plane: number;
  readonly run: number;
  readonly strips: Strips;
}

/** Strips of B that have been packed, and where in the work space. */
interface Packed {
  readonly packing: Packing;
  readonly at: number;
  readonly strips: Strips;
}

/** What a dense plan is made for, besides its problem. */
export interface DenseOptions {
  readonly tile: Tile;
  readonly commands: Commands;
  /** There is a bias. */
  readonly bias: boolean;
  /** Outputs are multiplied by a plane of factors; not together with an activation. */
  readonly scale: boolean;
  /** An array laid out like the output is added; with an activation, only one that the store does. */
  readonly residual?: boolean | undefined;
  readonly activation?: Activation | undefined;
  /** Threads that share the work; what is shared by all may be larger for more. Default 1. */
  readonly threads?: number | undefined;
}

/** The plan of a dense problem for `batch` pictures and `groups` groups of channels. */
export function planDense(p: Problem, batch: number, groups: number, options: DenseOptions): Plan {
  const { tile, scale, residual = false, threads = 1 } = options;
  const { mr, nr } = tile;
  const list = new CommandList(options.commands);
  const tables = new TableBuilder();
  const ending = endingOf(options.activation, options.bias);
  // Grid length per axis.
  const grid = gridOf(p);
  const input = new BandInput(p, grid);
  const [, , x] = p.classes;
  const taps = x.reduce((n, c) => n + c.offsets.length, 0) / Math.max(1, x.length);
  const packFrom = packFromRows(input, grid, taps / input.reach[2].residues.length, mr);
  const flops = flopsOf(p, batch * groups);
  const merged = mergeFew(p, tile);
  const combos = combinations(merged?.common ?? p.classes);
  const rows = combos.map((axes) => product(axes.map((c) => c.phases.length)) * p.outChannels);
  const allRows = rows.reduce((sum, count) => sum + count, 0);
  // Distinct rows of B, should all groups be packed together.
  const depth = p.inChannels * product(p.classes.map((list) => new Set(list.flatMap((c) => c.offsets)).size));
  // Enough items for a few threads to share evenly, unless the work is too small to share at all.
  const shared = flops >= SHARE_FROM_FLOPS;
  const items = shared ? Math.ceil(ITEMS / Math.max(1, batch * groups)) : 1;
  const mostRows = Math.max(1, ...rows);
  const demand = { rows: mostRows, allRows, depth, packFrom, least: items };
  const { size, count: bandCount, runs } = cutGrid(input, grid, tile, demand);
  const layout = input.layout(size);
  const rowsOf = new Map<Group, readonly number[]>();
  const classGroups = combos.map((axes) => groupOf(axes, rowsOf));
  // Of the only group, if phases that see different taps are in it.
  const addends: readonly Addend[] =
    merged?.addends.map(({ axes, from, apart }) => ({ ...groupOf(axes, rowsOf), from, apart })) ?? [];
  // One packing for all groups, if there are several: neighbouring phases see mostly the same rows.
  const packing =
    combos.length > 1
      ? packingOf(classGroups.map((group) => rowsOf.get(group) ?? []))
      : classGroups[0]?.alone;
  // Floats from the start of the input to the band under way, when it is read where it is.
  let origin = 0;
  let workBytes = 0;

  const positions = size[0] * size[1] * roundUp(size[2] + input.reach[2].span, nr);
  const phases = classGroups.reduce((n, group) => n + group.phases.length, 0);
  const prepared = !input.plain || mostRows >= packFrom;
  const least = prepared ? RUN_TILES : PLAIN_RUN_TILES;
  const cuts = cutChannels(p.outChannels, phases, positions, mr, runs, least, threads);
  const products = [...classGroups, ...addends];
  const panels = layPanels(p, products, cuts, tile, list, tables);
  const { blocks, floats: packedFloats, packs } = panels;
  const apart = shared && (runs > 1 || batch * groups * bandCount < 4);
  const parts = apart ? blocks.map((block) => [block]) : [blocks];
  const bands = layBands(p, input, size, list, parts, (box, part) => layBand(box, part));
  const slopes = ending.activation?.fn === 'prelu';
  const repeats = { batch, groups, bias: options.bias, slopes, packedFloats };
  return {
    commands: Int32Array.from(list.words),
    tables: Int32Array.from(tables.words),
    stages: layItems(p, packs, bands, repeats),
    packStages: 1,
    packedBytes: packedFloats * groups * 4 + SLACK * 4,
    workBytes,
    sharedBytes: 0,
    repeatable: true,
    flops,
  };

  /** One packing for groups that each see the given rows: every distinct row once. */
  function packingOf(rows: readonly (readonly number[])[]): Packing {
    const places = new Map<number, number>();
    for (const row of rows.flat()) if (!places.has(row)) places.set(row, places.size);
    const index = rows.map((own) => tables.add(own.map((row) => 4 * tile.nr * (places.get(row) ?? 0))));
    return { rows: tables.add([...places.keys()]), count: places.size, index };
  }

  function groupOf(
    axes: readonly [AxisClass, AxisClass, AxisClass],
    rowsOf: Map<Group, readonly number[]>,
  ): Group {
    const { plane, channel, y: height, x: width } = layout;
    const residues = input.reach.map((reach) => reach.residues.length);
    const [, kh, kw] = p.kernelSize;
    const rows: number[] = [];
    const taps: number[] = [];
    const perAxis = axes.map(({ offsets, steps }, axis) =>
      offsets.map((offset, i) => [...input.place(axis, offset), steps[i]] as const),
    );
    for (const [[rz, z, kz], [ry, y, ky], [rx, x, kx]] of combinations(perAxis)) {
      rows.push(((rz * residues[1] + ry) * residues[2] + rx) * plane + (z * height + y) * width + x);
      taps.push((kz * kh + ky) * kw + kx);
    }
    // Input channels outermost: neighbouring taps of one channel share cache lines.
    const channels = range(p.inChannels);
    const offsets = channels.flatMap((i) => rows.map((row) => 4 * (i * channel + row)));
    const kTable = tables.add(offsets);
    const index = tables.add(offsets.map((_, at) => 4 * tile.nr * at));
    const alone = { rows: kTable, count: offsets.length, index: [index] };
    const wTable = tables.add(channels.flatMap((i) => taps.map((tap) => 4 * (i * p.weightIn + tap))));
    const phases = combinations(axes.map((own) => own.phases));
    const group = { axes, phases, k: offsets.length, kTable, alone, wTable };
    rowsOf.set(group, offsets);
    return group;
  }

  /** The commands of one band. */
  function layBand(box: Box, blocks: readonly Block[]): void {
    if (input.plain) origin = (box.from[0] * layout.y + box.from[1]) * layout.x + box.from[2];
    else input.pad(list, box, layout);
    // The part of the band that each class reaches.
    const reached = classGroups.map(({ axes }) =>
      box.size.map((length, axis) => Math.max(0, Math.min(length, axes[axis].count - box.from[axis]))),
    );
    const fits = (count: number, strips: Strips, levels: number) =>
      4 * count * strips.level * levels <= PACKED_B_TARGET;
    const worth = (group: Group, channels: number, strips: Strips) =>
      addends.length === 0 && (strips.kind === 'short' || group.phases.length * channels >= packFrom);
    const channels = blocks.reduce((sum, block) => sum + block.count, 0);

    // All groups' rows packed once for the whole band, if they reach equally far and it is worth it.
    let start = layout.floats * 4;
    const [[levels, height, width]] = reached;
    const alike = reached.every((size) => size.join() === reached[0].join() && !size.includes(0));
    let common: Packed | undefined;
    const strips = stripsOf(height, width, layout.x, nr, true);
    const straight = straightOf(box, reached[0], strips);
    if (alike && packing !== undefined) {
      if (
        fits(packing.count, strips, levels) &&
        classGroups.some((group) => worth(group, channels, strips))
      ) {
        common = { packing, at: start, strips };
        packStrips(common, levels, straight !== undefined);
        start += 4 * (packing.count * strips.level * levels + SLACK);
      }
    }
    workBytes = Math.max(workBytes, start);
    for (const block of blocks) {
      if (straight !== undefined) {
        multiplyStraight(classGroups[0], block, straight, common);
        continue;
      }
      let at = start;
      const results: Result[] = [];
      for (const [which, group] of classGroups.entries()) {
        const size = reached[which];
        const rows = group.phases.length * block.count;
        const { x } = layout;
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
        workBytes = Math.max(workBytes, at);
        if (size.includes(0)) continue;
        const panel = block.panels[which];
        if (common !== undefined) {
          multiplyPacked(group, panel, rows, size[0], result, common, which);
        } else if (packs) {
          const own = { packing: group.alone, at, strips };
          packStrips(own, size[0]);
          multiplyPacked(group, panel, rows, size[0], result, own, 0);
          workBytes = Math.max(workBytes, at + 4 * (group.k * result.positions + SLACK));
        } else {
          multiply(group, panel, rows, size[0], result);
          for (const [i, addend] of addends.entries()) {
            const { row, at } = result;
            const own = { ...result, at: at + addend.from * row, row: addend.apart * row };
            multiply(addend, block.panels[i + 1], addend.phases.length, size[0], own, true);
          }
        }
      }
      const { activation, bias, floor } = ending;
      if (activation !== undefined) activate(activation, block, results);
      storeBand(list, p, linesOf(box, block, results), {
        from: block.from,
        count: block.count,
        bias,
        scale,
        residual,
        floor,
      });
    }
  }

  /** Whether the sums of a band, in such strips, can be stored by the kernels that make them: they lie as in the output. */
  function straightOf(box: Box, size: readonly number[], strips: Strips): Straight | undefined {
    const [group] = classGroups;
    const [, height, width] = p.outSize;
    const fn = ending.activation?.fn;
    if (
      classGroups.length !== 1 ||
      group.phases.length > 1 ||
      group.k > K_BLOCK ||
      scale ||
      addends.length > 0
    )
      return undefined;
    if (fn !== undefined && fn !== 'prelu' && fn !== 'leakyRelu') return undefined;
    if (p.outStride.some((step) => step > 1) || strips.used < nr) return undefined;
    if (strips.kind === 'short' || (strips.kind === 'flat' && strips.pitch !== width)) return undefined;
    const ranges = group.phases[0].map((phase, axis) => rangeOf(p, box, axis, phase));
    if (size[0] > 1 || ranges.some(({ local, count }, axis) => local > 0 || count < size[axis]))
      return undefined;
    const [z, y, x] = ranges;
    const plane = 4 * product(p.outSize);
    return { out: 4 * ((z.out * height + y.out) * width + x.out), plane, run: 4 * width, strips };
  }

  /** Sums that go to the output at once, with what is to be done to them. */
  function multiplyStraight(
    { k, kTable }: Group,
    { from, count, panels: [panel] }: Block,
    { out, plane, run, strips }: Straight,
    packed: Packed | undefined,
  ): void {
    const { used, runs, perRun, runStep } = strips;
    const { activation, floor } = ending;
    const whole = Math.floor(used / nr);
    // What is left at the end of a run is covered by a strip that lies further back, and computes some sums again.
    const stretches = [
      { first: 0, strip: 0, times: whole },
      { first: used - nr, strip: whole, times: used % nr > 0 ? 1 : 0 },
    ].filter(({ times }) => times > 0);
    const stripBytes = packed === undefined ? 4 * nr : 4 * nr * packed.packing.count;
    const table = [BASE.tables, packed === undefined ? kTable : packed.packing.index[0]] as const;
    const [slope] = activation?.parameters ?? [];
    const slopes = activation?.fn === 'leakyRelu' ? tables.add(new Array<number>(mr).fill(bitsOf(slope))) : 0;
    // Rows whose share of A stays in the cache while the strips go by.
    const some = mr * Math.max(1, Math.floor(A_STAYS_FLOATS / (k * mr)));
    for (let i = 0; i < runs; i++) {
      const multiply = (rows: number, tiles: number, firstRow: number) => {
        const channel = from + firstRow;
        const a = [BASE.packed, panel + 4 * firstRow * k] as const;
        const tile = [tiles, 4 * rows * k, 0, rows * plane] as const;
        const bias = options.bias ? ([[BASE.bias, 4 * channel], 4 * rows] as const) : [0, 0];
        for (const { first, strip, times } of stretches) {
          const b =
            packed === undefined
              ? rowAt(i * runStep + first)
              : ([BASE.work, packed.at + (i * perRun + strip) * stripBytes] as const);
          const to = out + channel * plane + i * run + 4 * first;
          const end =
            activation === undefined
              ? [residual ? ([BASE.residual, to] as const) : 0, bitsOf(floor)]
              : activation.fn === 'prelu'
                ? [[BASE.scale, 4 * channel] as const, 4 * rows]
                : [[BASE.tables, slopes] as const, 0];
          const name = `gemm${rows}${activation === undefined ? 'floor' : 'slope'}`;
          const strips = [times, 0, stripBytes, 4 * nr] as const;
          list.push(name, a, b, table, k, [BASE.output, to], plane, 1, ...strips, ...tile, ...bias, ...end);
        }
      };
      for (let at = 0; at < count; at += some)
        eachTile(count, mr, multiply, [at, Math.min(count, at + some)]);
    }
  }

  /** The phases of a block's result, and where each goes. */
  function linesOf(box: Box, block: Block, results: readonly Result[]): Line[] {
    const [, height, width] = p.outSize;
    return classGroups.flatMap((group, which) => {
      const { at, row, strips } = results[which];
      return group.phases.flatMap((phases, number): Line[] => {
        const range = phases.map((phase, axis) => rangeOf(p, box, axis, phase));
        if (range.some(({ count }) => count <= 0)) return [];
        const [z, y, x] = range;
        const local = z.local * strips.level + y.local * strips.pitch + x.local;
        return [
          {
            c: at + number * block.count * row + 4 * local,
            row,
            pitch: 4 * strips.pitch,
            level: 4 * strips.level,
            out: (z.out * height + y.out) * width + x.out,
            row0: z.out * height + y.out,
            z: z.count,
            y: y.count,
            x: x.count,
          },
        ];
      });
    });
  }

  /** Bias and activation, in the result buffer: its rows are contiguous, those of the output are not. */
  function activate(activation: Activation, { from, count }: Block, results: readonly Result[]): void {
    for (const [which, group] of classGroups.entries()) {
      const { at, row, positions } = results[which];
      for (const number of group.phases.keys()) {
        const rows = { c: at + number * count * row, row, positions, from, count, bias: options.bias };
        activateRows(list, activation, rows);
      }
    }
  }

  /** Address of a row of the padded input of the band under way, or of the input itself. */
  function rowAt(floats: number): readonly [number, number] {
    return input.plain ? [BASE.input, 4 * (origin + floats)] : [BASE.work, 4 * floats];
  }

  /** Rows of B straight from the padded input. */
  function multiply(
    group: Group,
    panel: number,
    rows: number,
    levels: number,
    { at, row, strips }: Result,
    add = false,
  ): void {
    const level = layout.y * layout.x;
    for (let k = 0; k === 0 || k < group.k; k += K_BLOCK) {
      const depth = Math.min(K_BLOCK, group.k - k);
      for (let z = 0; z < levels; z++) {
        eachTile(rows, mr, (height, count, firstRow) => {
          const a = [BASE.packed, panel + 4 * (firstRow * group.k + k * height)] as const;
          const table = [BASE.tables, group.kTable + 4 * k] as const;
          const tile = [count, 4 * height * group.k, 0, height * row] as const;
          const fresh = k === 0 && !add ? 1 : 0;
          for (let run = 0; run < strips.runs; run++) {
            for (const { name, from, count, step } of kernelsFor(height, strips.used, nr)) {
              const b = rowAt(z * level + run * strips.runStep + from * nr);
              const position = z * strips.level + (run * strips.perRun + from) * nr;
              const c = [BASE.work, at + firstRow * row + 4 * position] as const;
              const strip = [count, 0, 4 * nr * step, 4 * nr * step] as const;
              list.push(name, a, b, table, depth, c, row, fresh, ...strip, ...tile);
            }
          }
        });
      }
    }
  }

  /** Rows of B, packed strip by strip; `back`: the last strip of a run lies as far back as it must to end with it. */
  function packStrips({ packing, at, strips }: Packed, levels: number, back = false): void {
    const { x: width, y: height } = layout;
    const stripBytes = 4 * nr * packing.count;
    // Second vector, and second pair of vectors, of a strip: further along the row, or in the next rows.
    const short = strips.kind === 'short';
    const d1 = short && strips.pitch === 4 ? 4 * width : 16;
    const d2 = short ? 4 * width * (strips.pitch === 4 ? 2 : 1) : 32;
    const table = [BASE.tables, packing.rows] as const;
    const perLevel = strips.perRun * strips.runs;
    const { count } = packing;
    // Runs of one strip are packed together, as strips that lie as far apart.
    const [calls, together, apart] =
      strips.perRun === 1 ? [1, strips.runs, strips.runStep] : [strips.runs, strips.perRun, nr];
    const last = back && strips.used % nr > 0 ? 1 : 0;
    for (let z = 0; z < levels; z++) {
      for (let run = 0; run < calls; run++) {
        const pack = (from: number, strip: number, times: number) => {
          const source = rowAt(z * height * width + run * strips.runStep + from);
          const target = [BASE.work, at + (z * perLevel + run * strips.perRun + strip) * stripBytes] as const;
          list.push('packB', source, target, table, count, times, 4 * apart, d1, d2);
        };
        pack(0, 0, together - last);
        if (last > 0) pack(strips.used - nr, together - 1, 1);
      }
    }
  }

  /** Rows of B from packed strips; `which` is the group's number in the packing. */
  function multiplyPacked(
    group: Group,
    panel: number,
    rows: number,
    levels: number,
    { at, row, strips }: Result,
    packed: Packed,
    which: number,
  ): void {
    const stripBytes = 4 * nr * packed.packing.count;
    const count = strips.perRun * strips.runs * levels;
    for (let k = 0; k === 0 || k < group.k; k += K_BLOCK) {
      const depth = Math.min(K_BLOCK, group.k - k);
      eachTile(rows, mr, (tileRows, tiles, firstRow) => {
        const a = [BASE.packed, panel + 4 * (firstRow * group.k + k * tileRows)] as const;
        const b = [BASE.work, packed.at] as const;
        const table = [BASE.tables, packed.packing.index[which] + 4 * k] as const;
        const c = [BASE.work, at + firstRow * row] as const;
        const tile = [tiles, 4 * tileRows * group.k, 0, tileRows * row] as const;
        const strip = [count, 0, stripBytes, 4 * nr] as const;
        // The outer loop is over what would not stay in the cache if it were inner.
        const order = tiles * tileRows * depth > A_STAYS_FLOATS ? [...tile, ...strip] : [...strip, ...tile];
        list.push(`gemm${tileRows}`, a, b, table, depth, c, row, k === 0 ? 1 : 0, ...order);
      });
    }
  }
}
