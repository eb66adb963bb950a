/** items: the work on one picture and one group of channels, repeated for all of them by moving the bases. */
import { range } from '../../shape.js';
import * as BASE from './bases.js';
import { type Bases, type Plan, type PlanBuilder, product, SLACK, type Stretch } from './commands.js';
import type { Problem } from './problem.js';

/** Commands of a band, and how far its place lies from the one they were made for, in bytes. */
export interface Band {
  readonly stretch: Stretch;
  readonly input: number;
  readonly output: number;
  /** The first of its pictures, if they are not the same for all bands. */
  readonly picture?: number | undefined;
  /** How far its place in the shared buffer lies from the one they were made for. */
  readonly shared?: number | undefined;
}

/**
 * The plan of stages of items that pack the weight, then those that do the rest.
 *
 * @param packedFloats of one group
 */
export function planItems(
  list: PlanBuilder,
  p: Problem,
  batch: number,
  groups: number,
  packedFloats: number,
  packs: readonly (readonly Stretch[])[],
  works: readonly (readonly Band[])[],
  flops: number,
  sharedBytes = 0,
): Plan {
  const weightBytes = 4 * p.outChannels * p.inChannels * product(p.kernelSize);
  const plane = 4 * product(p.inSize);
  const outBytes = 4 * p.outChannels * product(p.outSize);
  const packing = (g: number, pack: Stretch) => ({
    ...pack,
    moves: { [BASE.weight]: g * weightBytes, [BASE.packed]: 4 * g * packedFloats },
  });
  const work = (n: number, g: number, band: Band) => {
    const picture = (n + (band.picture ?? 0)) * groups + g;
    const channels = 4 * g * p.outChannels;
    const moves: Bases = {
      [BASE.input]: picture * p.inChannels * plane + band.input,
      [BASE.output]: picture * outBytes + band.output,
      [BASE.scale]: band.output,
      [BASE.packed]: 4 * g * packedFloats,
      [BASE.shared]: band.shared ?? 0,
      [BASE.bias]: channels,
    };
    p.fusion?.move(moves, p, picture);
    return { ...band.stretch, moves };
  };
  const stages = [
    ...packs.map((stage) => range(groups).flatMap((g) => stage.map((pack) => packing(g, pack)))),
    ...works.map((stage) =>
      range(batch).flatMap((n) => range(groups).flatMap((g) => stage.map((band) => work(n, g, band)))),
    ),
  ];
  const packedBytes = 4 * (packedFloats * groups + SLACK);
  return list.plan({ stages, packStages: packs.length, packedBytes, sharedBytes, flops });
}
