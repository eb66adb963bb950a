/** strips: how the positions of a band are laid into strips of NR lanes, for the lanes to be as full as they can be. */
import { roundUp } from './commands.js';

/** How the positions of a band are laid into strips. */
export interface Strips {
  /** Several rows make one strip; else each is rounded up, or they run on through the padding, as one run. */
  readonly short: boolean;
  /** Floats from one row of the result to the next. */
  readonly pitch: number;
  /** Floats of one z-level of the result. */
  readonly level: number;
  /** Positions of a run that hold results, from the first to the last. */
  readonly used: number;
  /** Strips per run, runs per level, and the floats from one run to the next in the padded input. */
  readonly perRun: number;
  readonly runs: number;
  readonly runStep: number;
}

/** Strips of `nr` positions over one level of `rows` × `width`, whose rows lie `padded` floats apart in the input; `short` where that fits. */
export function stripsOf(rows: number, width: number, padded: number, nr: number, short: boolean): Strips {
  const strips = (short: boolean, pitch: number, used: number, runs: number, runStep: number): Strips => {
    const perRun = Math.ceil(used / nr);
    return { short, pitch, level: runs * perRun * nr, used, perRun, runs, runStep };
  };
  const perStrip = nr / width;
  if (short && width >= 4 && (perStrip === 2 || perStrip === 4))
    return strips(true, width, nr, Math.ceil(rows / perStrip), perStrip * padded);
  const byRow = roundUp(width, nr);
  const through = (rows - 1) * padded + width;
  return roundUp(through, nr) < byRow * rows
    ? strips(false, padded, through, 1, 0)
    : strips(false, byRow, width, rows, padded);
}
