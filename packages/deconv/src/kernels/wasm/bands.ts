/** bands: the bands of an output grid, one after the other, and what dense and Winograd plans have in common. */
export { combinations } from '../../geometry/three-axes.js';

import type { BandInput, Box } from './band-input.js';
import { rangeOf } from './band-output.js';
import { type CommandList, product, type Stretch, shift } from './commands.js';
import type { Band } from './items.js';
import type { Problem, Triple } from './problem.js';
import { remembered } from './remembered.js';

/** What the commands of a band depend on, besides its place. */
function shapeOf(p: Problem, input: BandInput, box: Box): string {
  const perAxis = box.size.map((length, axis) => {
    const inside = input.reach[axis].residues.map((residue) => input.inside(box, axis, residue).slice(0, 2));
    const ranges = p.classes[axis].map((c) => c.phases.map((phase) => rangeOf(p, box, axis, phase)));
    return [length, inside, ranges.map((list) => list.map(({ local, count }) => [local, count]))];
  });
  return JSON.stringify(perAxis);
}

/** Length of the output grid per axis. */
export const gridOf = (p: Problem): number[] =>
  p.classes.map((classes) => Math.max(1, ...classes.map((c) => c.count)));

/**
 * The bands of a problem's grid, `size` each, cut into parts. Bands that differ by their place alone share the commands that
 * `emit` makes; how far they lie apart becomes a shift of the bases.
 */
export function layBands<Part>(
  p: Problem,
  input: BandInput,
  size: readonly number[],
  list: CommandList,
  parts: readonly Part[],
  emit: (box: Box, part: Part) => void,
): Band[] {
  interface Known {
    readonly from: readonly number[];
    readonly stretches: readonly Stretch[];
  }
  const grid = gridOf(p);
  const known = new Map<string, Known>();
  const bands: Band[] = [];
  const lay = (from: readonly number[]) => {
    const box = { from, size: size.map((length, axis) => Math.min(length, grid[axis] - from[axis])) };
    const { from: origin, stretches } = remembered(known, shapeOf(p, input, box), () => ({
      from,
      stretches: parts.map((part) => list.stretch(() => emit(box, part))),
    }));
    const steps = from.map((at, axis) => at - origin[axis]);
    const moved = { input: shift(steps, p.inStride, p.inSize), output: shift(steps, p.outStride, p.outSize) };
    for (const stretch of stretches) bands.push({ stretch, ...moved });
  };
  eachPlace(grid, size, lay);
  return bands;
}

/** Visits the places of a grid of three axes that lie `step` apart, in the order of memory. */
export function eachPlace(
  grid: readonly number[],
  step: readonly number[],
  visit: (place: Triple) => void,
): void {
  for (let z = 0; z < grid[0]; z += step[0])
    for (let y = 0; y < grid[1]; y += step[1]) for (let x = 0; x < grid[2]; x += step[2]) visit([z, y, x]);
}

/** Useful floating-point operations of a problem solved so many times. */
export function flopsOf(p: Problem, times: number): number {
  const perAxis = p.classes.map((classes) =>
    classes.reduce((n, c) => n + c.phases.reduce((m, phase) => m + phase.count, 0) * c.offsets.length, 0),
  );
  return 2 * times * p.inChannels * p.outChannels * product(perAxis);
}

/** Full tiles, then the rows that are left, for the given steps of tiles and strips; of all rows, or from one to another where tiles begin. */
export function eachTile(
  rows: number,
  mr: number,
  emit: (height: number, count: number, firstRow: number) => void,
  [from, to]: readonly [number, number] = [0, rows],
): void {
  const last = rows - (rows % mr);
  const full = Math.floor((Math.min(to, last) - from) / mr);
  if (full > 0) emit(mr, full, from);
  if (to > last && to > from) emit(rows - last, 1, last);
}
