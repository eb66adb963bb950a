/**
 * band-size: how the output grid of a dense problem is cut into bands: small enough for a band's buffers to stay in the
 * second-level cache, or near it, and enough of them for the threads to share. Where that would take bands so thin that
 * lanes stay empty (few and short rows), or that the weight is read again for next to nothing (few positions in all), the
 * threads share runs of output channels instead.
 */
import type { BandInput } from './band-input.js';
import { boxesIn } from './bands.js';
import { product, roundUp, sum } from './commands.js';
import type { Tile } from './microkernels.js';
import type { Problem } from './problem.js';
import { stripsOf } from './strips.js';

/** Targets for the buffers of a band, in bytes. */
export const PADDED_TARGET = 1024 * 1024;
export const RESULT_TARGET = 512 * 1024;
export const PACKED_B_TARGET = 2 * 1024 * 1024;
/** Rows of results that a band should hold at a time, if there are so many. */
export const MOST_ROWS = 256;
/**
 * From this many tiles on, B is read often enough to be packed. Where several taps of a row read the same values, only a
 * shift apart, they are as near in the padded input as packed, and fewer: there it takes more tiles.
 */
export const PACK_FROM_TILES = 8;
export const PACK_SHARED_FROM_TILES = 64;
export const SHARED_TAPS = 2.5;
/** Bands are cut for the threads as long as they keep this share of the lanes that they would fill uncut. */
export const THIN = 0.85;
/** Tiles of rows below which there are no runs of channels to share. */
export const FEW_TILES = 2;

/** Positions of a plane whose rows are read where they are, however often; and tiles that read longer ones there. */
export const SHORT_PLANE = 256;
export const PLAIN_TILES = 4;

/**
 * Rows of a product from which B is packed. Rows read where they are may lie a power of two apart: packed, they do not fight for the same
 * cache sets. Short ones lie together as it is, and a few tiles do not read them often enough.
 */
export function packFromRows(
  { classes: [, , x] }: Problem,
  { plain, reach, grid }: BandInput,
  mr: number,
): number {
  if (plain) return product(grid) <= SHORT_PLANE ? Number.POSITIVE_INFINITY : PLAIN_TILES * mr + 1;
  // By how many taps each row of the padded input is read.
  const taps = sum(x, (c) => c.offsets.length) / x.length / reach[2].residues.length;
  return (taps >= SHARED_TAPS ? PACK_SHARED_FROM_TILES : PACK_FROM_TILES) * mr;
}

/**
 * Cuts the grid into bands: the length of a band per axis, the last ones may be shorter; how many there are; and runs of output channels
 * that each should be cut into, 1 for none.
 *
 * @param rows of the product: of the largest group of phases, and of all
 * @param depth distinct rows of B
 * @param packFrom rows from which B is packed
 * @param least items that there should be, if the problem allows
 */
export function cutGrid(
  { grid, layout }: BandInput,
  { mr, nr }: Tile,
  [rows, allRows]: readonly [number, number],
  depth: number,
  packFrom: number,
  least: number,
): readonly [size: readonly number[], count: number, runs: number] {
  const tooLarge = (size: readonly number[]) => {
    const positions = size[0] * size[1] * roundUp(size[2], nr);
    return (
      layout(size).floats * 4 > PADDED_TARGET ||
      Math.min(allRows, MOST_ROWS) * positions * 4 > RESULT_TARGET ||
      (rows >= packFrom && depth * positions * 4 > PACKED_B_TARGET)
    );
  };
  /** Cuts an axis into one part more, or as many more as make a difference, of at least `unit`; rows in whole strips. */
  const cut = (size: number[], axis: number, unit: number): boolean => {
    for (let parts = Math.ceil(grid[axis] / size[axis]) + 1; size[axis] > unit; parts++) {
      const even = Math.ceil(grid[axis] / parts);
      const next = Math.max(unit, axis === 2 ? roundUp(even, nr) : even);
      if (next >= size[axis] && next > unit) continue;
      size[axis] = next;
      return true;
    }
    return false;
  };
  const smaller = (size: number[]) => [1, 1, 4 * nr].some((unit, axis) => cut(size, axis, unit));
  /** Share of the lanes that bands of this size fill. */
  const fullness = (size: readonly number[]) =>
    (size[1] * size[2]) / stripsOf(size[1], size[2], layout(size).x, nr, true).level;

  const whole = [...grid];
  while (tooLarge(whole) && smaller(whole)) {}
  const thin = [...whole];
  while (boxesIn(grid, thin) < least && smaller(thin)) {}
  const [few, many] = [boxesIn(grid, whole), boxesIn(grid, thin)];
  const good = fullness(thin) >= THIN * fullness(whole);
  if (good && (many >= least || allRows < FEW_TILES * mr)) return [thin, many, 1];
  return [whole, few, Math.ceil(least / few)];
}
