/**
 * tiles: a model used on a picture of any size within a bound of memory. The picture goes through it part by part, each with
 * as much around it as the model can see, and comes out band by band: the result is that of the whole picture.
 */
import type { AnyPictureModel } from 'deconv/nn';
import type { Pixels } from '../pictures.js';
import { fromTensor, toTensor } from '../planes.js';
import { cropPixels } from '../training/scale-down.js';

/** How a picture is cut. */
export interface Tiling {
  /** Rows and columns of a part, without what is around it. */
  readonly rows: number;
  readonly columns: number;
  /** What is around it on each side. */
  readonly around: number;
  /** How many parts there are. */
  readonly count: number;
}

/** Bytes that a model works with per pixel of its input, about, the result included. */
export function workingBytes({ task, options, scale }: AnyPictureModel): number {
  const channels = Number(options['channels']);
  const result = 12 * 3 * scale ** 2;
  if (task === 'upscale') return 4 * 4 * channels + result;
  if (task === 'denoise') return 4 * channels + result;
  return 4 * 8 * channels + result;
}

/** Cuts a picture so that a part, with what is around it, works within `memory` bytes; or as small as it makes sense. */
export function tilingOf(model: AnyPictureModel, width: number, height: number, memory: number): Tiling {
  const { multiple, reach } = model;
  const around = Math.ceil(reach / multiple) * multiple;
  const most = memory / workingBytes(model);
  const least = Math.max(multiple, 2 * around);
  const whole = (n: number) => Math.max(least, Math.floor(n / multiple) * multiple);
  // Parts as wide as the picture if they are then no lower than what is around them, else square.
  const strip = most / (width + 2 * around) - 2 * around;
  const square = Math.sqrt(most) - 2 * around;
  const [columns, rows] = strip >= least ? [width, whole(strip)] : [whole(square), whole(square)];
  const cut = { rows: Math.min(rows, height), columns: Math.min(columns, width) };
  return { ...cut, around, count: Math.ceil(height / cut.rows) * Math.ceil(width / cut.columns) };
}

/** Puts a part of `channels` bytes per pixel into a band. */
function place(
  band: Uint8Array,
  bandWidth: number,
  part: Uint8Array,
  left: number,
  width: number,
  channels: number,
): void {
  const stride = width * channels;
  for (let y = 0; y * stride < part.length; y++)
    band.set(part.subarray(y * stride, (y + 1) * stride), (y * bandWidth + left) * channels);
}

/** One part of a picture through the model: RGB bytes, or one class number per pixel. */
function usePart(
  model: AnyPictureModel,
  picture: Pixels,
  [left, top, width, height]: number[],
  around: number,
) {
  const { scale } = model;
  const [x0, y0] = [Math.max(0, left - around), Math.max(0, top - around)];
  const [x1, y1] = [
    Math.min(picture.width, left + width + around),
    Math.min(picture.height, top + height + around),
  ];
  const x = toTensor(cropPixels(picture, x0, y0, x1 - x0, y1 - y0));
  const y = model.apply(x);
  x.dispose();
  let part: Uint8Array;
  const inner = [(left - x0) * scale, (top - y0) * scale, width * scale, height * scale] as const;
  if (model.task === 'segment') {
    const [dx, dy, w, h] = inner;
    const { data } = y;
    part = new Uint8Array(w * h);
    for (let row = 0; row < h; row++) {
      for (let column = 0; column < w; column++)
        part[row * w + column] = Number(data[(dy + row) * (x1 - x0) + dx + column]);
    }
  } else part = cropPixels(fromTensor(y, 255), ...inner).data;
  y.dispose();
  return part;
}

/**
 * The model's result, band by band from the top: whole rows of bytes, RGB or class numbers.
 *
 * @param onPart told after each part; gives the event loop a turn
 */
export async function* useModel(
  model: AnyPictureModel,
  picture: Pixels,
  { rows, columns, around }: Tiling,
  onPart: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { scale } = model;
  const channels = model.task === 'segment' ? 1 : 3;
  const { width, height } = picture;
  for (let top = 0; top < height; top += rows) {
    const tall = Math.min(rows, height - top);
    const band = new Uint8Array(width * scale * tall * scale * channels);
    for (let left = 0; left < width; left += columns) {
      const wide = Math.min(columns, width - left);
      const part = usePart(model, picture, [left, top, wide, tall], around);
      place(band, width * scale, part, left * scale, wide * scale, channels);
      await onPart();
    }
    yield band;
  }
}
