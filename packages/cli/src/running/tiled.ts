/**
 * tiled: a picture through a network tile by tile, bytes to bytes: neither it nor the result is ever there as floats. The
 * library says which part of the picture a tile reads and which part of what it makes is right (a plan); here the parts are
 * cut out, normalised, run, and put into bands of rows, which are handed on as they are whole.
 */
import type { Tensor } from 'deconv';
import {
  type Layout,
  levelsOf,
  type Order,
  type PicturePlan,
  pixelTensor,
  type Range,
  reorder,
} from './pixels-in.js';
import { type Box, type PictureShape, pictureShape, pixelsOf, type Tally } from './results.js';

/** A picture as bytes, channels last, in the order of its file: red first. */
export interface Bytes {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** As much of the library's plan as is used; boxes have all axes of their tensors. */
export interface Tiles {
  readonly tiles: readonly {
    readonly input: Box;
    readonly outputs: readonly { readonly keep: Box; readonly place: Box }[];
  }[];
}

/** Rows and columns of a box of four axes. */
function spaceOf({ start, size }: Box, layout: Layout): Box {
  const [rows, columns] = layout === 'nchw' ? [2, 3] : [1, 2];
  return { start: [start[rows], start[columns]], size: [size[rows], size[columns]] };
}

/** A rectangle of bytes with three channels. */
function crop({ width, data }: Bytes, { start: [top, left], size: [rows, columns] }: Box): Uint8Array {
  const out = new Uint8Array(rows * columns * 3);
  for (let y = 0; y < rows; y++) {
    const from = ((top + y) * width + left) * 3;
    out.set(data.subarray(from, from + columns * 3), y * columns * 3);
  }
  return out;
}

/** How a picture goes through. */
export interface Tiled {
  readonly picture: Bytes;
  readonly plan: PicturePlan;
  readonly tiles: Tiles;
  readonly run: (x: Tensor) => Promise<Tensor>;
  /** The result as a whole. */
  readonly shape: PictureShape;
  readonly order: Order;
  /** Values that become black and white; may be decided by the first tile. */
  readonly rangeOf: (first: Tensor) => Range;
  /** Told after each tile; gives the event loop a turn. */
  readonly onTile: (done: number, of: number) => Promise<void>;
}

/** The result, band by band from the top. */
export async function* bandsOf(tiled: Tiled, tally: Tally): AsyncGenerator<Uint8Array, void, undefined> {
  const { picture, plan, tiles, shape, order } = tiled;
  const { width, channels } = shape;
  const levels = levelsOf(plan);
  let band: Uint8Array | undefined;
  let [top, done] = [0, 0];
  for (const { input, outputs } of tiles.tiles) {
    const [read, keep, place] = [
      spaceOf(input, plan.layout),
      spaceOf(outputs[0].keep, shape.layout),
      spaceOf(outputs[0].place, shape.layout),
    ];
    if (band === undefined || place.start[0] !== top) {
      if (band !== undefined) yield band;
      top = place.start[0];
      band = new Uint8Array(place.size[0] * width * channels);
    }
    const [rows, columns] = read.size;
    const bytes = reorder(crop(picture, read), plan.order);
    const x = pixelTensor(bytes, columns, rows, plan, levels);
    const y = await tiled.run(x);
    x.dispose();
    const data = pixelsOf(y.data, partShape(y, shape), 0, tiled.rangeOf(y), order, tally, keep);
    y.dispose();
    for (let row = 0; row < keep.size[0]; row++) {
      const stride = keep.size[1] * channels;
      band.set(data.subarray(row * stride, (row + 1) * stride), (row * width + place.start[1]) * channels);
    }
    await tiled.onTile(++done, tiles.tiles.length);
  }
  if (band !== undefined) yield band;
}

/** What a tile gives, laid out as the whole. */
function partShape(y: Tensor, whole: PictureShape): PictureShape {
  const part = pictureShape(y.shape, whole.layout);
  if (part === undefined || part.layout !== whole.layout)
    throw new Error('deconv: a tile gives no picture where the whole does');
  return part;
}
