/**
 * panels: the weight as the microkernels read it. The rows of the product are (phase, output channel) pairs, its depth
 * the (input channel, tap) pairs; MR rows at a time are packed into a panel, k by k, so that A is read in one stream.
 */
import { range } from '../../shape.js';
import { RESULT_TARGET } from './band-size.js';
import * as BASE from './bases.js';
import { type CommandList, roundUp, type Stretch, type TableBuilder } from './commands.js';
import type { Tile } from './microkernels.js';
import type { Phase, Problem } from './problem.js';

/** Tiles below which a run of output channels is not worth preparing the input for again; or, where nothing is prepared, sharing. */
export const RUN_TILES = 10;
export const PLAIN_RUN_TILES = 4;
/** Items that packing is cut into: panels are small, a handful of them make one. */
export const PACK_ITEMS = 16;

/** What a panel needs to know of a group of phases. */
export interface PanelGroup {
  /** Phases along z, y, x, in the order of the rows. */
  readonly phases: readonly (readonly [Phase, Phase, Phase])[];
  readonly k: number;
  /** Table of the byte offsets of the taps in the weight, one per k. */
  readonly wTable: number;
}

/** A run of output channels, with where its panels lie, in bytes, one address per group. */
export interface Block {
  readonly from: number;
  readonly count: number;
  readonly panels: readonly number[];
}

/** The packed weight: its blocks, its length, and the commands that make it. */
export interface Panels {
  readonly blocks: readonly Block[];
  readonly floats: number;
  readonly packs: readonly Stretch[];
}

/**
 * The output channels in blocks: as many to each as have their results fit the buffer, in whole tiles; in at least `runs` even ones, but
 * not so small that preparing the input for each would tell.
 *
 * @param phases of all groups
 * @param positions of a band
 * @param least tiles from which a run is worth what it costs to prepare
 * @param threads among which runs are shared: evenly, if there are several
 */
export function cutChannels(
  channels: number,
  phases: number,
  positions: number,
  mr: number,
  runs: number,
  least: number,
  threads: number,
): Omit<Block, 'panels'>[] {
  const fit = Math.max(1, Math.floor(RESULT_TARGET / (phases * positions * 4)));
  const run = roundUp(Math.max(Math.ceil(channels / runs), Math.ceil((least * mr) / phases)), mr);
  const limit = Math.min(channels, fit, runs > 1 ? run : fit);
  if (limit === channels) return [{ from: 0, count: channels }];
  const unit = limit < mr ? 1 : mr;
  const units = Math.ceil(channels / unit);
  const fewest = Math.ceil(units / Math.floor(limit / unit));
  const count = runs > 1 && fewest > 1 ? Math.min(units, roundUp(fewest, threads)) : fewest;
  const begin = (i: number) => Math.min(channels, unit * Math.floor((units * i) / count));
  return range(count).map((i) => ({ from: begin(i), count: begin(i + 1) - begin(i) }));
}

/**
 * Rows of a product, (phase, output channel) pairs of a run of channels, in panels of at most MR: `emit` for each, with the table of its
 * rows' byte offsets in the weight, its height and its first row. Gives the number of rows.
 */
export function eachPanel(
  p: Problem,
  phases: PanelGroup['phases'],
  { from, count }: Omit<Block, 'panels'>,
  mr: number,
  tables: TableBuilder,
  emit: (table: readonly [number, number], height: number, row: number) => void,
): number {
  const [, kh, kw] = p.kernelSize;
  const rows = phases.flatMap(([z, y, x]) => {
    const tap = (z.tap * kh + y.tap) * kw + x.tap;
    return range(count).map((o) => 4 * ((from + o) * p.weightOut + tap));
  });
  const table = tables.add(rows);
  for (let row = 0; row < rows.length; row += mr)
    emit([BASE.tables, table + 4 * row], Math.min(mr, rows.length - row), row);
  return rows.length;
}

/** Lays out the panels of all groups, block by block. */
export function layPanels(
  p: Problem,
  groups: readonly PanelGroup[],
  runs: readonly Omit<Block, 'panels'>[],
  { mr }: Tile,
  list: CommandList,
  tables: TableBuilder,
): Panels {
  const blocks: Block[] = [];
  const first = list.length;
  let at = 0;
  for (const run of runs) {
    const panels = groups.map(({ phases, k, wTable }) => {
      const start = at * 4;
      const rows = eachPanel(p, phases, run, mr, tables, (table, height, row) => {
        const target = [BASE.packed, start + 4 * row * k] as const;
        list.push('packA', [BASE.weight, 0], target, table, height, [BASE.tables, wTable], k);
      });
      at += rows * k;
      return start;
    });
    blocks.push({ ...run, panels });
  }
  return { blocks, floats: at, packs: packStretches(first, list.length) };
}

/** The commands from `first` on, which pack, as items of several. */
export function packStretches(first: number, end: number): Stretch[] {
  const per = Math.max(1, Math.ceil((end - first) / PACK_ITEMS));
  return range(Math.ceil((end - first) / per)).map((i) => ({
    first: first + i * per,
    count: Math.min(per, end - first - i * per),
  }));
}
