/**
 * tiles: a model used on a picture of any size within a bound of memory. The library cuts the picture so that each part sees
 * all it would see in the whole; here its bytes are read part by part, and the result is handed over band by band.
 */
import { DeconvError } from 'deconv';
import { type AnyPictureModel, planTiles, streamTiles, type TilePlan } from 'deconv/nn';
import type { Pixels } from '../pictures.js';
import { fromTensor, toTensor } from '../planes.js';
import { exitCodes, Failure } from '../terminal.js';
import { cropPixels } from '../training/scale-down.js';

/** Cuts a picture for a model, so that the values of a part take at most `memory` bytes. */
export function planParts(model: AnyPictureModel, width: number, height: number, memory: number): TilePlan {
  try {
    return planTiles((x) => model.apply(x), [1, 3, height, width], { maxMemory: memory });
  } catch (error) {
    if (!(error instanceof DeconvError)) throw error;
    throw new Failure(
      `no part of the picture is small enough: ${error.rule}`,
      exitCodes.failed,
      'raise --max-memory',
    );
  }
}

/**
 * Sends a picture through a model.
 *
 * @param onBand takes the result from the top: whole rows of bytes, RGB, or class numbers of a segmenter
 * @param onPart told after each part; gives the event loop a turn
 */
export async function useModel(
  model: AnyPictureModel,
  picture: Pixels,
  plan: TilePlan,
  onBand: (rows: Uint8Array) => Promise<void>,
  onPart: () => Promise<void> = async () => {},
): Promise<void> {
  const channels = model.task === 'segment' ? 1 : 3;
  const width = picture.width * model.scale;
  let band = new Uint8Array();
  await streamTiles({
    plan,
    run: (x) => model.apply(x),
    read: ({ start, size }) => toTensor(cropPixels(picture, start[3], start[2], size[3], size[2])),
    write: async ({ start, size }, tile) => {
      const [left, wide, tall] = [start[start.length - 1], size[size.length - 1], size[size.length - 2]];
      if (left === 0) band = new Uint8Array(width * tall * channels);
      const part = channels === 1 ? Uint8Array.from(tile.data, Number) : fromTensor(tile, 255).data;
      const stride = wide * channels;
      for (let y = 0; y < tall; y++)
        band.set(part.subarray(y * stride, (y + 1) * stride), (y * width + left) * channels);
      if (left + wide === width) await onBand(band);
      await onPart();
    },
  });
}
