/**
 * few-rows: phases of a single output channel, which see nearly the same taps, as one product. With a product for each, the few rows
 * would load nearly the same values again and again.
 */
import type { Tile } from './microkernels.js';
import { type AxisClass, gridOf, mostPhases, type Phase, type Problem } from './problem.js';

/** Rows of a product below which it is worth adding others to it, and depth from which. */
export const LONE_ROWS = 3;
export const MERGED_DEPTH = 64;

/** Offsets at which all classes of an axis see the input. */
const commonOf = ([first, ...others]: readonly AxisClass[]): number[] =>
  first.offsets.filter((offset) => others.every(({ offsets }) => offsets.includes(offset)));

/** The classes of an axis as one of the taps that all see, then as many of the others; with the first of their phases among all. */
function splitAxis(
  classes: readonly AxisClass[],
  common: readonly number[],
): (AxisClass & { readonly from: number })[] {
  const part = (own: AxisClass, wanted: readonly number[]) => ({
    ...own,
    offsets: wanted,
    steps: wanted.map((offset) => own.steps[own.offsets.indexOf(offset)]),
  });
  const all = part(classes[0], common);
  const phases: Phase[] = [];
  const rest = classes.map((own) => {
    const from = phases.length;
    // The kernel's steps count from the first tap of each class: what they differ by goes to its phases.
    const behind = part(own, common).steps[0] - all.steps[0];
    phases.push(...own.phases.map((phase) => ({ ...phase, tap: phase.tap + behind })));
    const others = own.offsets.filter((offset) => !common.includes(offset));
    return { ...part(own, others), from };
  });
  return [{ ...all, phases, count: Math.max(...classes.map(({ count }) => count)), from: 0 }, ...rest];
}

/** One product of the taps that all phases see, and those that are added to its rows; undefined where there is nothing to gain. */
export function mergeFew(p: Problem, { nr }: Tile) {
  const [zs, ys, xs] = p.classes;
  const [, , width] = gridOf(p);
  if (ys.length * xs.length < 2 || zs.length > 1 || p.outChannels > 1 || width < nr) return undefined;
  const [commonY, commonX] = [commonOf(ys), commonOf(xs)];
  const depth = p.inChannels * zs[0].offsets.length * commonY.length * commonX.length;
  if (mostPhases(p.classes) >= LONE_ROWS || depth < MERGED_DEPTH) return undefined;
  const [y, x] = [splitAxis(ys, commonY), splitAxis(xs, commonX)];
  const across = x[0].phases.length;
  const addends = y.flatMap((rows, i) =>
    x.flatMap((columns, j) => {
      if (i + j === 0 || rows.offsets.length * columns.offsets.length === 0) return [];
      const from = rows.from * across + columns.from;
      // Rows of one phase along an axis lie evenly apart; of several along both, they are taken line by line.
      if (columns.phases.length === 1) return [{ axes: [zs[0], rows, columns], from, apart: across }];
      return rows.phases.map((phase, line) => ({
        axes: [zs[0], { ...rows, phases: [phase] }, columns],
        from: from + line * across,
        apart: 1,
      }));
    }),
  );
  return { common: [zs, [y[0]], [x[0]]], addends };
}
