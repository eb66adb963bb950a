/** items: the work on one picture and one group of channels, repeated for all of them by moving the bases. */
import { type Item, product, type Stretch } from './commands.js';
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

/** How often a problem is solved, and with what. */
export interface Repeats {
  readonly batch: number;
  readonly groups: number;
  readonly bias: boolean;
  /** What outputs are multiplied by lies per channel, as the bias does, not per place. */
  readonly slopes: boolean;
  /** Floats of the packed weight of one group. */
  readonly packedFloats: number;
}

/** The items that pack the weight, and those that do the rest. */
export function layItems(
  p: Problem,
  packs: readonly Stretch[],
  bands: readonly Band[],
  { batch, groups, bias, slopes, packedFloats }: Repeats,
): readonly [packing: readonly Item[], work: readonly Item[]] {
  const weightBytes = p.outChannels * p.inChannels * product(p.kernelSize) * 4;
  const plane = product(p.inSize) * 4;
  const { split = p.inChannels } = p;
  const outBytes = p.outChannels * product(p.outSize) * 4;
  const packing: Item[] = [];
  const work: Item[] = [];
  for (let g = 0; g < groups; g++) {
    const packed = g * packedFloats * 4;
    for (const pack of packs) packing.push({ ...pack, moves: { weight: g * weightBytes, packed } });
  }
  for (let n = 0; n < batch; n++) {
    for (let g = 0; g < groups; g++) {
      const [packed, channels] = [g * packedFloats * 4, g * p.outChannels * 4];
      for (const band of bands) {
        const picture = (n + (band.picture ?? 0)) * groups + g;
        const moves = {
          input: picture * split * plane + band.input,
          second: picture * (p.inChannels - split) * plane + band.input,
          output: picture * outBytes + band.output,
          scale: slopes ? channels : band.output,
          packed,
          shared: band.shared ?? 0,
          residual: picture * outBytes + band.output,
          bias: bias ? channels : 0,
        };
        work.push({ ...band.stretch, moves });
      }
    }
  }
  return [packing, work];
}
