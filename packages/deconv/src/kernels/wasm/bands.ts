/** bands: the bands of an output grid, one after the other, and what dense and Winograd plans have in common. */
import { combinations } from '../../geometry/three-axes.js';

import type { BandInput, Box } from './band-input.js';
import { rangeOf } from './band-output.js';
import { type PlanBuilder, product, runsOf, type Stretch, shift, sum } from './commands.js';
import type { Band } from './items.js';
import type { Problem } from './problem.js';
import { remembered } from './remembered.js';

/** What the commands of a band depend on, besides its place. */
const shapeOf = (p: Problem, input: BandInput, box: Box): string =>
  JSON.stringify(
    box.size.map((length, axis) => [
      length,
      input.reach[axis].residues.map((residue) => input.inside(box, axis, residue).slice(0, 2)),
      p.classes[axis].map((c) => c.phases.map((phase) => rangeOf(p, box, axis, phase).slice(0, 2))),
    ]),
  );

/**
 * The bands of a problem's grid, `size` each, cut into parts. Bands that differ by their place alone share the commands that
 * `emit` makes; how far they lie apart becomes a shift of the bases.
 */
export function layBands<Part>(
  p: Problem,
  input: BandInput,
  size: readonly number[],
  list: PlanBuilder,
  parts: readonly Part[],
  emit: (box: Box, part: Part) => void,
): Band[] {
  interface Known {
    readonly origin: readonly number[];
    readonly stretches: readonly Stretch[];
  }
  const known = new Map<string, Known>();
  const bands: Band[] = [];
  for (const box of boxesOf(input.grid, size)) {
    const { from } = box;
    const { origin, stretches } = remembered(known, shapeOf(p, input, box), () => ({
      origin: from,
      stretches: parts.map((part) => list.stretch(() => emit(box, part))),
    }));
    const steps = from.map((at, axis) => at - origin[axis]);
    const moved = { input: shift(steps, p.inStride, p.inSize), output: shift(steps, p.outStride, p.outSize) };
    for (const stretch of stretches) bands.push({ stretch, ...moved });
  }
  return bands;
}

/** The boxes of `most` that a grid of three axes is cut into, in the order of memory; the last may be smaller. */
export const boxesOf = (grid: readonly number[], most: readonly number[]): Box[] =>
  combinations(grid.map((length, axis) => runsOf(length, most[axis]))).map((runs) => ({
    from: runs.map(({ from }) => from),
    size: runs.map(({ count }) => count),
  }));

/** The number of these boxes. */
export const boxesIn = (grid: readonly number[], most: readonly number[]): number =>
  product(grid.map((length, axis) => Math.ceil(length / most[axis])));

export { combinations };

/** Useful floating-point operations of a problem solved so many times. */
export function flopsOf(p: Problem, times: number): number {
  const perAxis = p.classes.map((classes) =>
    sum(classes, (c) => sum(c.phases, ({ count }) => count) * c.offsets.length),
  );
  return 2 * times * p.inChannels * p.outChannels * product(perAxis);
}
