/**
 * band-output: the results of a band on their way to the output: each phase to the positions of its residue, neighbouring
 * phases together where they lie side by side, bias added and averages taken as they are stored.
 */
import type { Box } from './band-input.js';
import * as BASE from './bases.js';
import { type CommandList, product } from './commands.js';
import { bitsOf } from './ending.js';
import type { Phase, Problem } from './problem.js';
import { TOGETHER } from './stores.js';

/** The part of a phase that a band holds: its first grid position in the band, its length, and its first output. */
export function rangeOf(
  p: Problem,
  box: Box,
  axis: number,
  phase: Phase,
): { local: number; count: number; out: number } {
  const from = Math.max(phase.lead, box.from[axis]);
  const to = Math.min(phase.lead + phase.count, box.from[axis] + box.size[axis]);
  const out = (from - phase.lead) * p.outStride[axis] + phase.start;
  return { local: from - box.from[axis], count: to - from, out };
}

/** One phase of a block's result, and where it goes. */
export interface Line {
  /** Where it begins in the work space, and the steps from channel to channel, row to row, level to level; in bytes. */
  readonly c: number;
  readonly row: number;
  readonly pitch: number;
  readonly level: number;
  /** Where it begins in a channel of the output, and on which of its rows; in floats, and rows. */
  readonly out: number;
  readonly row0: number;
  /** Levels, rows, and positions of a row. */
  readonly z: number;
  readonly y: number;
  readonly x: number;
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

/** The channels that the lines hold, and what is still to be done to them. */
export interface Finish {
  readonly from: number;
  readonly count: number;
  readonly bias: boolean;
  readonly scale: boolean;
  /** An array laid out like the output is added. */
  readonly residual: boolean;
  /** No output is less; not together with a scale. */
  readonly floor: number;
  /** Bytes from where the output begins to the picture that the lines are of. Default 0. */
  readonly picture?: number | undefined;
}

/** The commands that store the lines of a band. */
export function storeBand(list: CommandList, p: Problem, lines: readonly Line[], finish: Finish): void {
  const [, height, width] = p.outSize;
  const [tz, ty, tx] = p.outStride;
  const plane = product(p.outSize);
  const bias = finish.bias ? ([BASE.bias, 4 * finish.from] as const) : 0;
  const bias1 = finish.bias ? 4 : 0;
  const byRow = new Map<number, Line[]>();
  for (const line of lines) byRow.set(line.row0, [...(byRow.get(line.row0) ?? []), line]);
  for (const row of byRow.values()) {
    const waiting = row.sort((a, b) => a.out - b.out);
    while (waiting.length > 0) {
      const together = finish.scale ? 1 : neighbours(waiting, tx);
      const side = waiting.splice(0, together);
      const [line] = side;
      const common = Math.min(...side.map(({ x }) => x));
      for (let z = 0; z < line.z; z++) {
        const c = side.map(({ c, level }) => [BASE.work, c + z * level] as const);
        const inPlane = 4 * (line.out + z * tz * height * width);
        const to = (finish.picture ?? 0) + 4 * finish.from * plane + inPlane;
        const channel = [finish.count, line.row, 4 * plane, bias1] as const;
        const rows = [line.y, line.pitch, 4 * ty * width] as const;
        const end = [finish.residual ? ([BASE.residual, to] as const) : 0, bitsOf(finish.floor)] as const;
        // Those that are stored together have no scale.
        const scale = finish.scale ? ([BASE.scale, inPlane] as const) : 0;
        const [name, scales] = together > 1 ? [`store${together}`, []] : ['store', [scale]];
        const out = [BASE.output, to] as const;
        list.push(name, ...c, out, bias, ...scales, ...channel, ...rows, common, 4 * tx, ...end);
      }
      // What some of them have more of.
      for (const longer of side.filter(({ x }) => x > common)) {
        const done = { c: longer.c + 4 * common, out: longer.out + common * tx, x: longer.x - common };
        waiting.push({ ...longer, ...done });
      }
    }
  }
}
