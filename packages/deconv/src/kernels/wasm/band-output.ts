/**
 * band-output: the results of a band on their way to the output: each phase to the positions of its residue, neighbouring
 * phases together where they lie side by side, bias added and averages taken as they are stored.
 */
import type { Box } from './band-input.js';
import * as BASE from './bases.js';
import { columnsOf, type PlanBuilder, placeIn, product, type Run } from './commands.js';
import { bitsOf, endingOf } from './ending.js';
import type { Finish, Phase, Problem } from './problem.js';
import { remembered } from './remembered.js';
import { TOGETHER } from './stores.js';

/** The part of a phase that a band holds: its first grid position in the band, its length, and its first output. */
export function rangeOf(
  p: Problem,
  box: Box,
  axis: number,
  phase: Phase,
): readonly [local: number, count: number, out: number] {
  const from = Math.max(phase.lead, box.from[axis]);
  const to = Math.min(phase.lead + phase.count, box.from[axis] + box.size[axis]);
  return [from - box.from[axis], to - from, (from - phase.lead) * p.outStride[axis] + phase.start];
}

/** One phase of a block's result, and where it goes. */
export interface Line {
  /** Where it begins in the work space, and the steps from channel to channel, row to row, level to level; in bytes. */
  readonly c: number;
  readonly row: number;
  readonly pitch: number;
  readonly level: number;
  /** Where it begins in a channel of the output, in floats. */
  readonly out: number;
  /** Levels, rows, and positions of a row. */
  readonly z: number;
  readonly y: number;
  readonly x: number;
}

/** The same of a phase along each axis: grid positions, lengths, and first outputs. */
export const rangesOf = (p: Problem, box: Box, phases: readonly Phase[]): number[][] =>
  columnsOf(phases.map((phase, axis) => rangeOf(p, box, axis, phase)));

/** A phase along each axis, whose results begin at `c`; nothing where the band holds nothing of it. */
export function linesOf(
  p: Problem,
  box: Box,
  phases: readonly Phase[],
  c: number,
  [row, level, pitch]: readonly [row: number, level: number, pitch: number],
): Line[] {
  const [local, [z, y, x], outs] = rangesOf(p, box, phases);
  if (Math.min(z, y, x) <= 0) return [];
  const at = c + local[0] * level + local[1] * pitch + 4 * local[2];
  return [{ c: at, row, pitch, level, out: placeIn(p.outSize, outs), z, y, x }];
}

/** How many of the first lines lie side by side in the output, alike enough to be stored together. */
function neighbours(lines: readonly Line[], step: number): number {
  const [a] = lines;
  const alike = (line: Line | undefined, i: number) =>
    line !== undefined &&
    line.out === a.out + i &&
    line.y === a.y &&
    line.row === a.row &&
    line.pitch === a.pitch &&
    line.level === a.level;
  let count = 1;
  while (count < step && alike(lines[count], count)) count++;
  // All that there are between two outputs of a phase, or four of more.
  const whole = TOGETHER.find((n) => n === step && n === count);
  return whole ?? (step > 4 && count >= 4 ? 4 : 1);
}

/**
 * The commands that store the lines of a band, which hold some of the output channels.
 *
 * @param picture bytes from where the output begins to the picture that the lines are of
 */
export function storeBand(
  list: PlanBuilder,
  p: Problem,
  finish: Finish,
  lines: readonly Line[],
  { from, count }: Run,
  picture = 0,
): void {
  const [activation, floor] = endingOf(finish.activation);
  const bias = finish.bias && activation === undefined;
  const [, height, width] = p.outSize;
  const [tz, ty, tx] = p.outStride;
  const plane = product(p.outSize);
  const biases = bias ? ([BASE.bias, 4 * from] as const) : 0;
  const byRow = new Map<number, Line[]>();
  for (const line of lines) remembered(byRow, Math.floor(line.out / width), () => [] as Line[]).push(line);
  for (const row of byRow.values()) {
    const waiting = row.sort((a, b) => a.out - b.out);
    while (waiting.length > 0) {
      const together = finish.average ? 1 : neighbours(waiting, tx);
      const side = waiting.splice(0, together);
      const [line] = side;
      const common = Math.min(...side.map(({ x }) => x));
      for (let z = 0; z < line.z; z++) {
        const c = side.map(({ c, level }) => [BASE.work, c + z * level] as const);
        const inPlane = 4 * (line.out + z * tz * height * width);
        const to = picture + 4 * from * plane + inPlane;
        const channel = [count, line.row, 4 * plane, bias ? 4 : 0] as const;
        const rows = [line.y, line.pitch, 4 * ty * width] as const;
        const [suffix, ...more] = p.fusion?.stored(to) ?? [''];
        // Those that are stored together have no scale.
        const scales = finish.average ? ([BASE.scale, inPlane] as const) : 0;
        const [name, own] = together > 1 ? [`store${together}`, []] : ['store', [scales]];
        list.push(
          name + suffix,
          ...c,
          [BASE.output, to],
          biases,
          ...own,
          ...channel,
          ...rows,
          common,
          4 * tx,
          bitsOf(floor),
          ...more,
        );
      }
      // What some of them have more of.
      for (const longer of side.filter(({ x }) => x > common)) {
        const done = { c: longer.c + 4 * common, out: longer.out + common * tx, x: longer.x - common };
        waiting.push({ ...longer, ...done });
      }
    }
  }
}
