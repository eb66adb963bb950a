/**
 * panels: the weight as the microkernels read it. The rows of the product are (phase, output channel) pairs, its depth
 * the (input channel, tap) pairs; MR rows at a time are packed into a panel, k by k, so that A is read in one stream.
 */
import { range } from '../../shape.js';
import { RESULT_TARGET } from './band-size.js';
import * as BASE from './bases.js';
import {
  evenRuns,
  joined,
  type Place,
  type PlanBuilder,
  placeIn,
  type Run,
  roundUp,
  runsOf,
  type Stretch,
} from './commands.js';
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
export interface Block extends Run {
  readonly panels: readonly number[];
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
): Run[] {
  const fit = Math.max(1, Math.floor(RESULT_TARGET / (phases * positions * 4)));
  const run = roundUp(Math.max(Math.ceil(channels / runs), Math.ceil((least * mr) / phases)), mr);
  const limit = Math.min(channels, fit, runs > 1 ? run : fit);
  if (limit === channels) return [{ from: 0, count: channels }];
  return wholeTiles(channels, limit, mr, runs > 1 ? threads : 1, 0.5);
}

/**
 * Channels in runs of at most so many, all about the same, in whole tiles if there is room for one; a multiple of `times` runs.
 *
 * @param shrinking for several `times`, of two tiles each at least: see {@link evenRuns}; at most so many on average then
 */
export function wholeTiles(channels: number, most: number, mr: number, times: number, shrinking = 0): Run[] {
  const unit = most < mr ? 1 : mr;
  const units = Math.ceil(channels / unit);
  const fewest = Math.ceil(units / Math.floor(most / unit));
  const runs = Math.min(units, roundUp(fewest, times));
  return evenRuns(channels, runs, unit, times > 1 && units >= 2 * runs ? shrinking : 0);
}

/**
 * Lays out the panels of all groups, block by block: rows of a product, (phase, output channel) pairs of a run of channels, at most MR
 * to each. Gives the blocks, the length of all, and the commands that make them.
 *
 * @param name the command that makes a panel
 * @param weight where the weight lies
 * @param places products for each group, whose panels lie one after the other
 * @param taps what the command wants to know besides, with how far the places lie apart
 */
export function layPanels(
  p: Problem,
  groups: readonly PanelGroup[],
  runs: readonly Run[],
  mr: number,
  list: PlanBuilder,
  name = 'packA',
  weight: Place = [BASE.weight, 0],
  places = 1,
  taps?: Place,
) {
  const packs: Stretch[] = [];
  let floats = 0;
  const blocks = runs.map((run): Block => {
    const panels = groups.map(({ phases, k, wTable }) => {
      const at = 4 * floats;
      const rows = phases.flatMap((along) => {
        const first = placeIn(
          p.kernelSize,
          along.map(({ tap }) => tap),
        );
        return range(run.count).map((o) => 4 * ((run.from + o) * p.weightOut + first));
      });
      const table = list.table(rows);
      const plane = 4 * rows.length * k;
      for (const { from, count } of runsOf(rows.length, mr)) {
        const target = [BASE.packed, at + 4 * from * k] as const;
        const given = [
          weight,
          target,
          [BASE.tables, table + 4 * from],
          count,
          [BASE.tables, wTable],
          k,
        ] as const;
        packs.push(
          list.stretch(() => list.push(name, ...given, ...(taps === undefined ? [] : [taps, plane]))),
        );
      }
      floats += places * rows.length * k;
      return at;
    });
    return { ...run, panels };
  });
  return { blocks, floats, packs: joined(packs, PACK_ITEMS) };
}
