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

import { range } from '../../shape.js';
import { type Box, bandInput } from './band-input.js';
import { type Line, linesOf, rangesOf, storeBand } from './band-output.js';
import { cutGrid, PACKED_B_TARGET, packFromRows } from './band-size.js';
import { combinations, flopsOf, layBands } from './bands.js';
import * as BASE from './bases.js';
import {
  itemsFor,
  MOST_DEPTH,
  type Place,
  type Plan,
  placeIn,
  planBuilder,
  product,
  roundUp,
  runsOf,
  SHARE_FROM_FLOPS,
  SLACK,
  sum,
} from './commands.js';
import { activateRows, bitsOf, endingOf } from './ending.js';
import { mergeFew } from './few-rows.js';
import { planItems } from './items.js';
import { type Block, cutChannels, layPanels, type PanelGroup, PLAIN_RUN_TILES, RUN_TILES } from './panels.js';
import { type AxisClass, type Finish, type Machine, mostPhases, type Problem } from './problem.js';
import { type Layer, layProduct, sideBySide } from './products.js';
import { type Strips, stripsOf } from './strips.js';

/** A block of A of more floats than this is streamed past the strips, rather than the strips past it. */
export const A_STAYS_FLOATS = 48 * 1024;

/** Rows of the padded input that are packed together, strip by strip, and where a group finds its own among them. */
interface Packing {
  /** Table of the rows' byte offsets in the padded input, and their number. */
  readonly kTable: number;
  readonly k: number;
  /** Per group of the packing: table of byte offsets within a strip, one per k. */
  readonly index: readonly number[];
}

/** A class of phases over all axes: one matrix product. Its rows of B may be packed alone. */
interface Group extends PanelGroup, Packing {
  readonly axes: readonly AxisClass[];
  /** Byte offsets of the rows of B in the padded input, one per k. */
  readonly offsets: readonly number[];
}

/** Strips of B that have been packed, and where in the work space. */
interface Packed extends Packing {
  readonly at: number;
  readonly end: number;
  readonly strips: Strips;
}

/** The plan of a dense problem for `batch` pictures and `groups` groups of channels. */
export function planDense(
  p: Problem,
  batch: number,
  groups: number,
  { tile, commands, threads = 1 }: Machine,
  finish: Finish = {},
): Plan {
  const { mr, nr } = tile;
  const list = planBuilder(commands);
  const [activation, floor] = endingOf(finish.activation);
  const input = bandInput(p);
  const packFrom = packFromRows(p, input, mr);
  const flops = flopsOf(p, batch * groups);
  const merged = mergeFew(p, tile);
  const classes = merged?.common ?? p.classes;
  const phases = product(classes.map((list) => sum(list, (c) => c.phases.length)));
  const phasesAtMost = mostPhases(classes);
  const rowsAtMost = phasesAtMost * p.outChannels;
  // Distinct rows of B, should all groups be packed together.
  const depth = p.inChannels * product(p.classes.map((list) => new Set(list.flatMap((c) => c.offsets)).size));
  // Enough items for a few threads to share evenly, unless the work is too small to share at all.
  const least = itemsFor(flops, batch * groups);
  const rows = [rowsAtMost, phases * p.outChannels] as const;
  const [size, bandCount, runs] = cutGrid(input, tile, rows, depth, packFrom, least);
  const layout = input.layout(size);
  const classGroups = combinations(classes).map(groupOf);
  // Of the only group, if phases that see different taps are in it: products whose sums are added to some of its rows, from the first
  // on, per output channel of the block, and so far apart.
  const addends = merged?.addends.map(({ axes, from, apart }) => ({ ...groupOf(axes), from, apart })) ?? [];
  // One packing for all groups, if there are several: neighbouring phases see mostly the same rows.
  const packing = classGroups.length > 1 ? packingOf(classGroups) : classGroups[0];
  // Floats from the start of the input to the band under way, when it is read where it is.
  let origin = 0;

  const positions = size[0] * size[1] * roundUp(size[2] + input.reach[2].span, nr);
  const leastTiles = !input.plain || rowsAtMost >= packFrom ? RUN_TILES : PLAIN_RUN_TILES;
  const cuts = cutChannels(p.outChannels, phases, positions, mr, runs, leastTiles, threads);
  const { blocks, floats, packs } = layPanels(p, [...classGroups, ...addends], cuts, mr, list);
  const fetched = floats / (batch * bandCount);
  const apart = runs > 1 || (flops >= SHARE_FROM_FLOPS && batch * groups * bandCount < 4);
  const bands = layBands(p, input, size, list, apart ? blocks.map((block) => [block]) : [blocks], layBand);
  return planItems(list, p, batch, groups, floats, [packs], [bands], flops);

  /** One packing for groups: every distinct row once. */
  function packingOf(groups: readonly Group[]): Packing {
    const places = new Map<number, number>();
    for (const row of groups.flatMap(({ offsets }) => offsets))
      if (!places.has(row)) places.set(row, 4 * nr * places.size);
    const index = groups.map(({ offsets }) => list.table(offsets.map((row) => places.get(row) ?? 0)));
    return { kTable: list.table([...places.keys()]), k: places.size, index };
  }

  function groupOf(axes: readonly AxisClass[]): Group {
    // Input channels outermost: neighbouring taps of one channel share cache lines.
    const eachChannel = (step: number, taps: readonly number[]) =>
      range(p.inChannels).flatMap((i) => taps.map((tap) => 4 * (i * step + tap)));
    const inRows = combinations(axes.map((own) => own.offsets)).map((at) => input.rowOf(layout, at));
    const offsets = eachChannel(layout.channel, inRows);
    const k = offsets.length;
    const kTable = list.table(offsets);
    const index = [list.table(offsets.map((_, i) => 4 * nr * i))];
    const inKernel = combinations(axes.map((own) => own.steps)).map((at) => placeIn(p.kernelSize, at));
    const wTable = list.table(eachChannel(p.weightIn, inKernel));
    return { axes, phases: combinations(axes.map((own) => own.phases)), k, kTable, index, wTable, offsets };
  }

  /** The commands of one band. */
  function layBand(box: Box, blocks: readonly Block[]): void {
    if (input.plain) {
      origin = placeIn(p.inSize, box.from);
      // What other threads have made of a short plane is far away: fetched all at once, it does not hold up each product.
      if (threads > 1 && packFrom === Number.POSITIVE_INFINITY)
        list.push('touch', rowAt(0), p.inChannels, 4 * product(p.inSize), box.size[2] / 16);
    } else input.pad(list, box, layout);
    // The part of the band that each class reaches.
    const reached = classGroups.map(({ axes }) =>
      box.size.map((length, axis) => Math.max(0, Math.min(length, axes[axis].count - box.from[axis]))),
    );
    const [first] = reached;
    const stripsFor = ([, height, width]: readonly number[], short: boolean) =>
      stripsOf(height, width, layout.x, nr, short);
    /** Whether rows of B in such strips are worth packing for so many rows of A, and there is room for them. */
    const worth = ({ k }: Packing, strips: Strips, levels: number, rows: number) =>
      addends.length === 0 &&
      (strips.short || rows >= packFrom) &&
      4 * k * strips.level * levels <= PACKED_B_TARGET;

    // All groups' rows packed once for the whole band, if they reach equally far and it is worth it.
    const strips = stripsFor(first, true);
    const straight = straightOf(box, first, strips);
    const channels = sum(blocks, ({ count }) => count);
    const alike = !first.includes(0) && reached.every((size) => size.join() === first.join());
    const start = 4 * layout.floats;
    const common =
      alike && worth(packing, strips, first[0], phasesAtMost * channels)
        ? packStrips(packing, start, strips, first[0], straight !== undefined)
        : undefined;
    list.work(start);
    for (const block of blocks) {
      if (straight !== undefined) {
        multiplyStraight(block, straight, strips, common);
        continue;
      }
      let at = common?.end ?? start;
      const lines: Line[] = [];
      for (const [which, group] of classGroups.entries()) {
        const size = reached[which];
        if (size.includes(0)) continue;
        const [levels] = size;
        const rows = group.phases.length * block.count;
        const packable = (strips: Strips) => worth(group, strips, levels, rows);
        const best = common?.strips ?? stripsFor(size, true);
        const strips = common !== undefined || !best.short || packable(best) ? best : stripsFor(size, false);
        const row = 4 * (roundUp(strips.level * levels, 16) + 16);
        const c = at;
        at += rows * row + SLACK * 4;
        list.work(at);
        const packed = common ?? (packable(strips) ? packStrips(group, at, strips, levels) : undefined);
        const table = packed?.index[packed === common ? which : 0] ?? group.kTable;
        const layers = packed === undefined ? layersOf(strips, levels) : [packedLayer(packed, levels)];
        const factors = [[BASE.packed, block.panels[which]], group.k, table, fetched] as const;
        layProduct(list, mr, factors, [[BASE.work, c], row, rows], layers);
        for (const [i, { k, kTable, phases, from, apart }] of addends.entries()) {
          const sums = [[BASE.work, c + from * row], apart * row, phases.length] as const;
          layProduct(list, mr, [[BASE.packed, block.panels[i + 1]], k, kTable], sums, layers, true);
        }
        // Bias and activation in the result buffer: its rows are contiguous, those of the output are not.
        for (const [number, phases] of group.phases.entries()) {
          const begin = c + number * block.count * row;
          const { level, pitch } = strips;
          activateRows(list, activation, finish.bias, begin, row, level * levels, block);
          lines.push(...linesOf(p, box, phases, begin, [row, 4 * level, 4 * pitch]));
        }
      }
      storeBand(list, p, finish, lines, block);
    }
  }

  /**
   * Whether the sums of a band, in such strips, can be stored by the kernels that make them, because they lie as in the output: then
   * where, in bytes from its beginning.
   */
  function straightOf(
    box: Box,
    size: readonly number[],
    { short, runs, pitch, used }: Strips,
  ): number | undefined {
    const [group, ...others] = [...classGroups, ...addends];
    const fn = activation?.fn;
    if (others.length > 0 || group.phases.length > 1 || group.k > MOST_DEPTH || finish.average)
      return undefined;
    if (fn !== undefined && fn !== 'prelu' && fn !== 'leakyRelu') return undefined;
    if (p.outStride.some((step) => step > 1) || used < nr) return undefined;
    // Rows that run on into one must do so in the output.
    if (short || (runs < size[1] && pitch !== p.outSize[2])) return undefined;
    const [local, count, outs] = rangesOf(p, box, group.phases[0]);
    const whole = Math.max(...local) === 0 && count.every((length, axis) => length === size[axis]);
    return whole && size[0] === 1 ? 4 * placeIn(p.outSize, outs) : undefined;
  }

  /** Sums that go to the output at once, with what is to be done to them. */
  function multiplyStraight(
    { from, count, panels: [panel] }: Block,
    out: number,
    { used, runs, perRun, runStep }: Strips,
    packed: Packed | undefined,
  ): void {
    const [{ k, kTable }] = classGroups;
    const [plane, width] = [4 * product(p.outSize), 4 * p.outSize[2]];
    const stretches = stretchesOf(used, perRun, true);
    const stripBytes = 4 * nr * (packed?.k ?? 1);
    const [slope] = activation?.parameters ?? [];
    const slopes = activation?.fn === 'leakyRelu' ? list.table(new Array<number>(mr).fill(bitsOf(slope))) : 0;
    const factors = [[BASE.packed, panel], k, packed?.index[0] ?? kTable, fetched] as const;
    // Rows whose share of A stays in the cache while the strips go by.
    const some = mr * Math.max(1, Math.floor(A_STAYS_FLOATS / (Math.max(1, k) * mr)));
    for (let i = 0; i < runs; i++) {
      const begin = out + from * plane + i * width;
      const layer: Layer = (height, firstRow) =>
        stretches.map(([first, strip, times]) => {
          const b: Place =
            packed === undefined
              ? rowAt(i * runStep + first)
              : [BASE.work, packed.at + (i * perRun + strip) * stripBytes];
          const channel = 4 * (from + firstRow);
          const bias = finish.bias ? ([[BASE.bias, channel], 4 * height] as const) : [0, 0];
          const to = begin + firstRow * plane + 4 * first;
          const [suffix, ...more] = p.fusion?.stored(to) ?? [''];
          const end =
            activation === undefined
              ? [bitsOf(floor), ...more]
              : activation.fn === 'prelu'
                ? [[BASE.scale, channel] as const, 4 * height]
                : [[BASE.tables, slopes] as const, 0];
          const name = `gemm${height}${activation === undefined ? 'floor' : 'slope'}${suffix}`;
          return [name, b, 4 * first, [times, 0, stripBytes, 4 * nr], false, [...bias, ...end]];
        });
      const sums = [[BASE.output, begin], plane, count] as const;
      for (const rows of runsOf(count, some))
        layProduct(list, mr, factors, sums, [layer], false, [0, k], [rows.from, rows.from + rows.count]);
    }
  }

  /** Address of a row of the padded input of the band under way, or of the input itself. */
  function rowAt(floats: number): Place {
    return input.plain ? [BASE.input, 4 * (origin + floats)] : [BASE.work, 4 * floats];
  }

  /** Strips whose rows of B come straight from the padded input. */
  function layersOf({ used, level, runs, perRun, runStep }: Strips, levels: number): Layer[] {
    return range(levels).map(
      (z) => (height) =>
        range(runs).flatMap((run) => {
          const b = rowAt(z * layout.y * layout.x + run * runStep);
          return sideBySide(height, nr, used, b, 4 * (z * level + run * perRun * nr));
        }),
    );
  }

  /** Strips that are packed. */
  function packedLayer({ at, k, strips: { perRun, runs } }: Packed, levels: number): Layer {
    const loop = [perRun * runs * levels, 0, 4 * nr * k, 4 * nr];
    // The outer loop is over what would not stay in the cache if it were inner.
    return (height, _, floats) => [[`gemm${height}`, [BASE.work, at], 0, loop, floats > A_STAYS_FLOATS]];
  }

  /**
   * Strips of a run: where they begin, the number of the first, and how many there are. With `back`, what is left at the end is covered
   * by a strip that lies as far back as it must, and computes some sums again.
   */
  function stretchesOf(used: number, count: number, back: boolean): number[][] {
    const last = back && used % nr > 0 ? 1 : 0;
    return [
      [0, 0, count - last],
      [used - nr, count - 1, last],
    ].filter(([, , times]) => times > 0);
  }

  /** Rows of B, packed strip by strip; `back`: see {@link stretchesOf}. */
  function packStrips(packing: Packing, at: number, strips: Strips, levels: number, back = false): Packed {
    const { x: width, y: height } = layout;
    const { kTable, k } = packing;
    const { short, pitch, used, level, perRun, runs, runStep } = strips;
    const stripBytes = 4 * nr * k;
    // Second vector, and second pair of vectors, of a strip: further along the row, or in the next rows.
    const vectors = [4, 8].map((i) => 4 * (short ? Math.floor(i / pitch) * width + (i % pitch) : i));
    // Runs of one strip are packed together, as strips that lie as far apart.
    const [calls, together, apart] = perRun === 1 ? [1, runs, runStep] : [runs, perRun, nr];
    for (let z = 0; z < levels; z++)
      for (let run = 0; run < calls; run++)
        for (const [first, strip, times] of stretchesOf(used, together, back)) {
          const source = rowAt(z * height * width + run * runStep + first);
          const target = [BASE.work, at + ((z * runs + run) * perRun + strip) * stripBytes] as const;
          list.push('packB', source, target, [BASE.tables, kTable], k, times, 4 * apart, ...vectors);
        }
    const end = at + 4 * (k * level * levels + SLACK);
    list.work(end);
    return { ...packing, at, strips, end };
  }
}
