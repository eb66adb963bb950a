/**
 * results: outputs of a run into files: arrays as they are, pictures where an output looks like one, that is (N, C, H, W) or
 * (N, H, W, C) with 1 (grey), 3 or 4 channels. With the range a…b, a pixel is 255·(value − a)/(b − a), rounded and cut to
 * 0…255. What is cut is counted.
 */
import type { Tensor } from 'deconv';
import { writeNpy, writeNpz } from 'deconv/io';
import sharp from 'sharp';
import { writeBytes } from '../files.js';
import { encoderFor } from '../pictures.js';
import { Failure, sizes } from '../terminal.js';
import type { Layout, Order, Range } from './pixels-in.js';
import type { Format, Targets } from './targets.js';

/** How an output is laid out as pictures. */
export interface PictureShape {
  readonly count: number;
  readonly channels: 1 | 3 | 4;
  readonly height: number;
  readonly width: number;
  readonly layout: Layout;
}

const channelsOf = (length: number): PictureShape['channels'] | undefined =>
  length === 1 || length === 3 || length === 4 ? length : undefined;

/** An output as pictures, in the layout of the input if both would do; undefined where it is none. */
export function pictureShape(shape: readonly number[], preferred: Layout): PictureShape | undefined {
  const [n, a, b, c] = shape.length === 3 ? [1, ...shape] : shape;
  if (shape.length < 3 || shape.length > 4 || shape.includes(0)) return undefined;
  const first = channelsOf(a);
  const last = channelsOf(c);
  const nchw = first && ({ count: n, channels: first, height: b, width: c, layout: 'nchw' } as const);
  const nhwc = last && ({ count: n, channels: last, height: a, width: b, layout: 'nhwc' } as const);
  const found = preferred === 'nchw' ? (nchw ?? nhwc) : (nhwc ?? nchw);
  return found !== undefined && found.height * found.width > 1 ? found : undefined;
}

/** Facts of an output's values. */
export interface Statistics {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Values that are no numbers, or infinite; the others count. */
  readonly wrong: number;
}

export function statisticsOf(values: ArrayLike<number | bigint>): Statistics {
  let [min, max, sum, wrong] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (!Number.isFinite(value)) wrong++;
    else {
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
    }
  }
  return { min, max, mean: sum / (values.length - wrong), wrong };
}

/** The range that values seem to have: bytes, −1…1 or 0…1. */
export function guessRange({ min, max }: Statistics): Range {
  if (max > 4) return [0, 255];
  return min < -0.1 ? [-1, 1] : [0, 1];
}

/** How pixels of an output are ordered. */
export interface PixelsOut {
  readonly order: Order;
  readonly layout: Layout;
}

/** A part of a picture, rows before columns. */
export interface Box {
  readonly start: readonly number[];
  readonly size: readonly number[];
}

/** What values came to on their way to pixels. */
export class Tally {
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  /** Values that no pixel can hold, that are no numbers or infinite, and all. */
  cut = 0;
  wrong = 0;
  all = 0;
  #sum = 0;

  add(value: number): void {
    this.all++;
    if (!Number.isFinite(value)) this.wrong++;
    else {
      if (value < this.min) this.min = value;
      if (value > this.max) this.max = value;
      this.#sum += value;
    }
  }

  get mean(): number {
    return this.#sum / (this.all - this.wrong);
  }

  /** Share of the values that were cut. */
  get share(): number {
    return this.all === 0 ? 0 : this.cut / this.all;
  }
}

/** Pixels of the picture number `index`, or of a part of it: channels last, red first. */
export function pixelsOf(
  values: ArrayLike<number | bigint>,
  { channels, height, width, layout }: PictureShape,
  index: number,
  [from, to]: Range,
  order: Order,
  tally: Tally,
  { start, size }: Box = { start: [0, 0], size: [height, width] },
): Uint8Array {
  const plane = width * height;
  const [rows, columns] = size;
  const data = new Uint8ClampedArray(rows * columns * channels);
  const scale = 255 / (to - from || 1);
  const [step, next] = layout === 'nchw' ? [1, plane] : [channels, 1];
  for (let c = 0; c < channels; c++) {
    // Of BGR, the first and the third change places; transparency stays.
    let into = order === 'bgr' && channels >= 3 && c < 3 ? 2 - c : c;
    for (let row = 0; row < rows; row++) {
      let at = index * plane * channels + c * next + ((start[0] + row) * width + start[1]) * step;
      for (let column = 0; column < columns; column++, at += step, into += channels) {
        const value = Number(values[at]);
        const pixel = (value - from) * scale;
        tally.add(value);
        if (!(pixel > -0.5 && pixel < 255.5)) tally.cut++;
        data[into] = pixel;
      }
    }
  }
  return new Uint8Array(data.buffer);
}

/** What was written of a run. */
export interface Written {
  readonly files: readonly {
    readonly output: string;
    readonly file: string;
    readonly size?: readonly number[];
  }[];
  /** Share of the values that lay outside the range of pixels. */
  readonly cut: number;
}

/** `a.png` → `a-3.png`. */
const numbered = (path: string, n: number) => path.replace(/(\.\w+)?$/, `-${n}$1`);

/** The kind of file that suits outputs if nothing is said: pictures for what pictures came of, else arrays. */
export function suitingFormat(outputs: readonly Tensor[], out: PixelsOut, fromPicture: boolean): Format {
  if (fromPicture && outputs.every(({ shape }) => pictureShape(shape, out.layout) !== undefined))
    return 'png';
  return outputs.length === 1 ? 'npy' : 'npz';
}

/**
 * Writes the outputs of one run.
 *
 * @param rangeOf values of an output that become black and white; `'each'`: its smallest and its largest
 */
export async function writeOutputs(
  outputs: Readonly<Record<string, Tensor>>,
  run: number,
  targets: Targets,
  format: Format,
  out: PixelsOut,
  rangeOf: (output: string) => Range | 'each',
): Promise<Written> {
  const entries = Object.entries(outputs);
  if (format === 'npz') {
    const file = targets.of(run, entries[0][0], format);
    await writeBytes(file, writeNpz(outputs));
    return { files: entries.map(([output]) => ({ output, file })), cut: 0 };
  }
  const files: { output: string; file: string; size?: number[] }[] = [];
  const tally = new Tally();
  for (const [output, y] of entries) {
    const target = targets.of(run, output, format);
    if (format === 'npy') {
      await writeBytes(target, writeNpy(y));
      files.push({ output, file: target });
      continue;
    }
    const shape = pictureShape(y.shape, out.layout);
    if (shape === undefined)
      throw new Failure(
        `output '${output}' of shape ${sizes(y.shape)} is no picture: that has 1, 3 or 4 channels`,
        1,
        'write it as .npy',
      );
    const values = y.data;
    const said = rangeOf(output);
    const { min, max } = said === 'each' ? statisticsOf(values) : { min: said[0], max: said[1] };
    const { width, height, channels } = shape;
    for (let n = 0; n < shape.count; n++) {
      const pixels = pixelsOf(values, shape, n, [min, max], out.order, tally);
      const file = shape.count === 1 ? target : numbered(target, n + 1);
      const image = sharp(pixels, { raw: { width, height, channels } });
      await writeBytes(file, await encoderFor(file)(image));
      files.push({ output, file, size: [width, height] });
    }
  }
  return { files, cut: tally.share };
}
