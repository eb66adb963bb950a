/**
 * tile-bands: the grid of tiles cut into bands, and how the transformed input of a band lies in memory: a plane for every place of a
 * tile, in it a row for every channel, in that the band's positions one after the other: of each picture, of each residue of the
 * dilation, level by level and row by row. Along axes without tiles there are more positions than outputs, which plain sums see.
 */
import { type Box, bandInput } from './band-input.js';
import { boxesIn } from './bands.js';
import { evenPart, placeIn, product, roundUp, SLACK } from './commands.js';
import type { Problem } from './problem.js';
import type { TileProblem } from './winograd.js';
import { placesOf } from './winograd-kernels.js';

/** Tiles of a band: as many as keep its transformed input to so many bytes, but not fewer or more than so many. */
export const INPUT_TARGET = 768 * 1024;
export const LEAST_TILES = 96;
export const MOST_TILES = 256;
/** Tiles in lines are smaller, and what neighbouring bands both read tells more. */
export const MOST_LINES = 1024;
/** Thin bands fill this share of their strips, may have so much more than their share of tiles, and read a weight of so many bytes often. */
export const THIN = 0.85;
export const NEARLY = 1.1;
export const LIGHT_WEIGHT = 768 * 1024;
/** Bytes of transformed input and what it is made from, at most. */
export const ROOM = 3 * 1024 * 1024;

/** What a band costs besides its own: as much as so many lanes. */
export const BAND_LANES = 8;

/** How the transformed input of a band lies in memory. */
export interface Measures {
  /** Positions per axis: tiles, or what plain sums see. */
  readonly extent: readonly number[];
  /** Of all positions, those from the first to the last that is one of the band's own. */
  readonly used: number;
  /** Floats from one channel to the next: whole strips, a few positions that may be touched, no power of two. */
  readonly pitch: number;
  /** Bytes of one place, and of all. */
  readonly plane: number;
  readonly slot: number;
  /** Bytes of the padded input that it is made from. */
  readonly padded: number;
}

/** Bands of so many tiles, of so many pictures at once; and how many there are. */
export interface Cut extends Measures {
  readonly size: readonly number[];
  readonly pictures: number;
  readonly count: number;
}

/** Bytes of one place of so many rows. */
export const planeBytes = (rows: number, pitch: number): number => 4 * (pitch * rows + SLACK);

/**
 * Bands of a problem on the grid of tiles.
 *
 * @param channels rows of the transformed input
 * @param nr floats of a strip
 */
export function tileBands({ problem, form, axes }: TileProblem, channels: number, nr: number) {
  const places = placesOf(form);
  const residues = product(axes.map(({ dilation }) => dilation));
  // Tiles step over rows of the input, `step` at a time, which are not split by residue.
  const [z, y, x] = problem.inStride;
  const step = axes[1].tiled ? y : 1;
  const rows: Problem = { ...problem, inStride: [z, y / step, x] };
  const input = bandInput(rows);
  const { grid } = input;
  return { rows, step, rowsOf, measure, cut, thin };

  /** A band in rows of the input that are not split. */
  function rowsOf({ from: [z, y, x], size: [levels, height, width] }: Box): Box {
    return { from: [z, y * step, x], size: [levels, (height - 1) * step + 1, width] };
  }

  function extentOf(size: readonly number[]): number[] {
    return size.map((length, axis) => length + axes[axis].span);
  }

  /** Positions of the transformed input of a band of so many pictures. */
  function positions(size: readonly number[], pictures: number): number {
    return pictures * residues * product(extentOf(size));
  }

  function measure(size: readonly number[], pictures: number): Measures {
    const extent = extentOf(size);
    const all = positions(size, pictures);
    const last = size.map((length) => length - 1);
    const used = all - product(extent) + placeIn(extent, last) + 1;
    const whole = roundUp(all + nr / 2 - 1, 8);
    const pitch = whole % 32 === 0 ? whole + 8 : whole;
    const plane = planeBytes(channels, pitch);
    const padded = 4 * input.layout(rowsOf({ from: size, size }).size).floats;
    return { extent, used, pitch, plane, slot: places * plane, padded };
  }

  /** Bands of so many tiles at most: several pictures, or rows of one, or parts of a row; all about the same. */
  function cutTo(batch: number, fit: number): Cut {
    const size = [...grid];
    const pictures = evenPart(batch, fit / positions(grid, 1));
    for (const [axis, unit] of [1, 1, 4].entries()) {
      const { span } = axes[axis];
      // One position along this axis, whole ones along the next.
      const slice = size.map((length, a) => (a === axis ? 1 - span : length));
      size[axis] = evenPart(grid[axis], fit / positions(slice, pictures) - span, unit);
    }
    const count = Math.ceil(batch / pictures) * boxesIn(grid, size);
    return { ...measure(size, pictures), size, pictures, count };
  }

  /**
   * Bands of as many tiles as there is room for, but not more than `most`; or of up to half as many, where their strips are filled so
   * much better.
   */
  function cut(batch: number, most = Number.POSITIVE_INFINITY): Cut {
    const limit = form.plane ? MOST_TILES : MOST_LINES;
    const wanted = INPUT_TARGET / (4 * places * channels);
    const first = Math.min(most, limit, Math.max(LEAST_TILES, wanted));
    const lanesOf = ({ count, used }: Cut) => count * (roundUp(used, nr / 2) + BAND_LANES);
    let best: Cut | undefined;
    for (let fit = first; ; fit *= 0.8) {
      const found = cutTo(batch, fit);
      if (found.slot + found.padded > ROOM && fit >= residues) continue;
      if (best === undefined || lanesOf(found) < lanesOf(best)) best = found;
      else if (fit < first / 2) return best;
    }
  }

  /**
   * So many bands, or about as many, if they fill their strips nearly as well as larger ones, and read the transformed weight, of so
   * many bytes, seldom enough.
   */
  function thin(batch: number, count: number, weightBytes: number): Cut | undefined {
    const all = batch * positions(grid, 1);
    const found = cut(batch, (all / count) * NEARLY);
    const { used } = found;
    if (found.count < count * THIN || used < THIN * roundUp(used, nr / 2)) return undefined;
    return used >= LEAST_TILES || weightBytes <= LIGHT_WEIGHT ? found : undefined;
  }
}
