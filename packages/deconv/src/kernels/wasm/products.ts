/** products: a product of matrices as commands: its rows in tiles, its depth in blocks, its columns in strips as the plan lays them. */
import * as BASE from './bases.js';
import { K_BLOCK, MOST_DEPTH, type Place, type PlanBuilder } from './commands.js';
import { kernelsFor } from './microkernels.js';

/**
 * The panels of A, one behind the other, each of so many values per row; the table of the rows of B; and the floats of all panels, as a
 * share of how often a call goes through them.
 */
export type Factors = readonly [panels: Place, depth: number, table: number, floats?: number];

/** That share, from which on caches do not keep panels till they are read again: they are fetched block by block, ahead of the products. */
export const COLD_FLOATS = 512 * 1024;

/** Where the sums go, bytes from row to row, and the number of rows. */
export type Sums = readonly [c: Place, row: number, rows: number];

/**
 * Strips that a kernel takes one after the other: where they begin in B and, in bytes from where the sums do, in C; how often, and the steps.
 * With `outside`, every tile goes by all of them before the next one comes, else they by all tiles. What else the kernel wants to know.
 */
export type Strip = readonly [
  kernel: string,
  b: Place,
  c: number,
  loop: readonly number[],
  outside?: boolean,
  more?: readonly (number | Place)[],
];

/** The strips for tiles of a height, from a row on, whose share of A are so many floats. */
export type Layer = (height: number, firstRow: number, floats: number) => readonly Strip[];

/** Full tiles, then the rows that are left; of all rows, or from one to another where tiles begin. */
export function eachTile(
  rows: number,
  mr: number,
  emit: (height: number, count: number, firstRow: number) => void,
  [from, to]: readonly number[] = [0, rows],
): void {
  const last = rows - (rows % mr);
  const full = Math.floor((Math.min(to, last) - from) / mr);
  if (full > 0) emit(mr, full, from);
  if (to > last && to > from) emit(rows - last, 1, last);
}

/** Strips of `nr` that lie side by side in B as in C, so many positions from the given places on. */
export const sideBySide = (
  height: number,
  nr: number,
  positions: number,
  [base, b]: Place,
  c: number,
): Strip[] =>
  kernelsFor(height, positions, nr).map(({ name, from, count, step }) => {
    const [skip, apart] = [4 * nr * from, 4 * nr * step];
    return [name, [base, b + skip], c + skip, [count, 0, apart, apart]];
  });

/**
 * The commands of a product.
 *
 * @param layers products of the same A, whose strips are laid one layer after the other within each block of the depth
 * @param add the sums are added to what is there
 * @param summed part of the depth that is summed, from one value to another; empty for none. Default: all
 * @param wanted rows from one to another where tiles begin. Default: all
 */
export function layProduct(
  list: PlanBuilder,
  mr: number,
  [[aBase, a], depth, table, all = 0]: Factors,
  [[cBase, c], row, rows]: Sums,
  layers: readonly Layer[],
  add = false,
  summed: readonly number[] = [0, depth],
  wanted?: readonly number[],
): void {
  const [from = 0, end = 0] = summed;
  const block = end - from > MOST_DEPTH ? K_BLOCK : MOST_DEPTH;
  // Once even where there is nothing to sum: the rows are zero then.
  for (let k = from; k < end || k === from; k += block) {
    const deep = Math.min(block, end - k);
    const fresh = add || k > from ? 0 : 1;
    for (const layer of layers) {
      const multiply = (height: number, tiles: number, firstRow: number) => {
        const panel = [aBase, a + 4 * (firstRow * depth + k * height)] as const;
        const tile = [tiles, 4 * height * depth, 0, height * row];
        const strips = layer(height, firstRow, tiles * height * deep);
        if (all > COLD_FLOATS) list.push('touch', panel, tiles, 4 * height * depth, (height * deep) / 16);
        for (const [name, b, at, loop, outside, more = []] of strips) {
          const loops = outside ? [...tile, ...loop] : [...loop, ...tile];
          const sums = [cBase, c + firstRow * row + at] as const;
          list.push(name, panel, b, [BASE.tables, table + 4 * k], deep, sums, row, fresh, ...loops, ...more);
        }
      };
      eachTile(rows, mr, multiply, wanted);
    }
  }
}
