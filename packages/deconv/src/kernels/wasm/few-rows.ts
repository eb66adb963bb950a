/**
 * few-rows: phases of a single output channel, which see nearly the same taps, as one product. With a product for each, the few rows
 * would load nearly the same values again and again.
 */
import { combinations, gridOf } from './bands.js';
import { product } from './commands.js';
import type { Tile } from './microkernels.js';
import type { AxisClass, Problem } from './problem.js';

/** Rows of a product below which it is worth adding others to it, and depth from which. */
export const LONE_ROWS = 3;
export const MERGED_DEPTH = 64;

/** The classes of an axis as one of the taps that all see, and as many of the others: with their rows of the first. */
function splitAxis(
  classes: readonly AxisClass[],
): { readonly all: AxisClass; readonly rest: AxisClass[] } | undefined {
  const [first] = classes;
  const common = first.offsets.filter((offset) => classes.every(({ offsets }) => offsets.includes(offset)));
  if (common.length === 0) return undefined;
  const part = ({ offsets, steps, phases, count }: AxisClass, wanted: readonly number[]): AxisClass => {
    const places = wanted.map((offset) => offsets.indexOf(offset));
    return { offsets: wanted, steps: places.map((place) => steps[place]), phases, count };
  };
  const taps = part(first, common);
  // The kernel's steps count from the first tap of each class: what they differ by goes to its phases.
  const phases = classes.flatMap((own) => {
    const behind = own.steps[own.offsets.indexOf(common[0])] - taps.steps[0];
    return own.phases.map((phase) => ({ ...phase, tap: phase.tap + behind }));
  });
  const rest = classes.map((own) =>
    part(
      own,
      own.offsets.filter((offset) => !common.includes(offset)),
    ),
  );
  return { all: { ...taps, phases, count: Math.max(...classes.map(({ count }) => count)) }, rest };
}

/** One product of the taps that all phases see, and those that are added to its rows; undefined where there is nothing to gain. */
export function mergeFew(p: Problem, { nr }: Tile) {
  const [zs, ys, xs] = p.classes;
  const most = Math.max(
    ...combinations(p.classes).map((axes) => product(axes.map(({ phases }) => phases.length))),
  );
  const [, , width] = gridOf(p);
  if (ys.length * xs.length < 2 || zs.length > 1 || p.outChannels > 1 || most >= LONE_ROWS || width < nr)
    return undefined;
  const [y, x] = [splitAxis(ys), splitAxis(xs)];
  if (y === undefined || x === undefined) return undefined;
  if (p.inChannels * zs[0].offsets.length * y.all.offsets.length * x.all.offsets.length < MERGED_DEPTH)
    return undefined;
  const across = x.all.phases.length;
  /** Parts of an axis, and the places of their phases among all. */
  const partsOf = ({ all, rest }: typeof y) => {
    let at = 0;
    return [all, ...rest].map((part, i) => {
      const from = at;
      if (i > 0) at += part.phases.length;
      return { part, from };
    });
  };
  const addends = partsOf(y).flatMap((rows, i) =>
    partsOf(x).flatMap((columns, j) => {
      if (i + j === 0 || rows.part.offsets.length * columns.part.offsets.length === 0) return [];
      const one = (part: AxisClass, phase: number) => ({ ...part, phases: [part.phases[phase]] });
      const from = rows.from * across + columns.from;
      // Rows of one phase along an axis lie evenly apart; of several along both, they are taken line by line.
      if (columns.part.phases.length === 1)
        return [{ axes: [zs[0], rows.part, columns.part] as const, from, apart: across }];
      return rows.part.phases.map((_, line) => ({
        axes: [zs[0], one(rows.part, line), columns.part] as const,
        from: from + line * across,
        apart: 1,
      }));
    }),
  );
  return { common: [zs, [y.all], [x.all]] as const, addends };
}
