/**
 * pixels-in: from a picture to what a network takes. With v the pixel as 0…1, and the range a…b,
 *
 *     value = (a + v·(b − a) − mean) / std
 *
 * per channel, in the order and layout that the network wants. What the options leave open is taken from the network's
 * declared shape or by default, and each such choice is put into words: numbers of the wrong range or order of channels
 * give a picture, only a wrong one.
 */
import { type Tensor, tensor } from 'deconv';
import type { OnnxValue } from 'deconv/onnx';
import { loadPixels, type Resizing } from '../pictures.js';
import { misuse, plural, sizes } from '../terminal.js';

/** How channels are ordered. */
export type Order = 'rgb' | 'bgr' | 'grey';
export type Layout = 'nchw' | 'nhwc';
/** How a picture is brought to a size: stretched, cut in the middle, or fitted into it with black around. */
export type Fit = 'stretch' | 'crop' | 'pad';
export type Range = readonly [number, number];

/** What the options say of pictures; undefined where they say nothing. */
export interface PictureOptions {
  readonly range?: Range;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly layout?: Layout;
  readonly channels?: Order;
  readonly size?: readonly [number, number];
  readonly fit?: Fit;
  readonly resample?: Resizing['kernel'];
}

/** How pictures become one input of the network; nothing is open. */
export interface PicturePlan {
  readonly input: string;
  readonly layout: Layout;
  readonly order: Order;
  readonly range: Range;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Undefined: each picture's own. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly fit: Fit;
  readonly resample: NonNullable<Resizing['kernel']>;
  /** Bytes go in as they are. */
  readonly bytes: boolean;
  /** What was chosen, and why, line by line. */
  readonly words: readonly string[];
}

const LETTERS: Record<Order, string> = { rgb: 'RGB', bgr: 'BGR', grey: 'grey' };
const isOpen = (length: number | string | undefined) => typeof length !== 'number' || length < 0;
const shapeOf = ({ shape }: OnnxValue) => `[${shape.join(', ')}]`;

/** "0..1": a range as it is written. */
export const rangeText = ([from, to]: Range): string => `${from}..${to}`;

/** NCHW or NHWC: as stated, or as the declared channels tell. */
function readLayout(value: OnnxValue, { layout }: PictureOptions): { layout: Layout; why: string } {
  if (layout !== undefined) return { layout, why: 'stated' };
  const few = (length: number | string | undefined) => length === 1 || length === 3;
  const last = few(value.shape[3]) && !few(value.shape[1]) && !isOpen(value.shape[1]);
  if (last || (few(value.shape[3]) && isOpen(value.shape[1]) && isOpen(value.shape[2])))
    return { layout: 'nhwc', why: `from its shape ${shapeOf(value)}` };
  return { layout: 'nchw', why: few(value.shape[1]) ? `from its shape ${shapeOf(value)}` : 'by default' };
}

/** One number per channel. */
function perChannel(option: string, values: readonly number[], channels: number): readonly number[] {
  if (values.length !== 1 && values.length !== channels)
    misuse(`--${option} has ${values.length} numbers, the input ${channels} channels`);
  return values.length === 1 ? new Array(channels).fill(values[0]) : values;
}

/** Works out how pictures become `value`; refuses what cannot be before any is read. */
export function planPictures(value: OnnxValue, options: PictureOptions): PicturePlan {
  const { name, shape } = value;
  if (shape.length !== 4 && shape.length !== 0) {
    misuse(
      `input '${name}' has shape ${shapeOf(value)}: pictures go into four axes, batch, channels, height and width`,
      'give it as .npy',
    );
  }
  const words: string[] = [];
  const say = (what: string, why: string) => words.push(`${what} (${why})`);
  const { layout, why } = readLayout(value, options);
  const [c, h, w] = layout === 'nchw' ? [1, 2, 3] : [3, 1, 2];
  if (!isOpen(shape[0]) && shape[0] !== 1)
    misuse(
      `input '${name}' has shape ${shapeOf(value)}: it takes ${shape[0]} pictures at once`,
      'give them as one .npy',
    );

  const declared = isOpen(shape[c]) ? undefined : Number(shape[c]);
  if (declared !== undefined && declared !== 1 && declared !== 3)
    misuse(
      `input '${name}' has ${declared} channels in ${layout.toUpperCase()} ${shapeOf(value)}; pictures have 1 or 3`,
      'give it as .npy, or another --layout',
    );
  const order = options.channels ?? (declared === 1 ? 'grey' : 'rgb');
  const channels = order === 'grey' ? 1 : 3;
  if (declared !== undefined && channels !== declared)
    misuse(`--channels ${order} gives ${channels}, input '${name}' has ${declared}: ${shapeOf(value)}`);
  const has = declared === undefined ? '' : `the network has ${plural(declared, 'channel')}`;
  const whyOrder =
    options.channels !== undefined ? 'stated' : declared === 1 ? has : `by default${has && `; ${has}`}`;

  const bytes = value.dtype === 'uint8';
  if (bytes) {
    for (const option of ['range', 'mean', 'std'] as const) {
      if (options[option] !== undefined)
        misuse(`input '${name}' takes uint8: pixels go in as they are, without --${option}`);
    }
    say('values 0..255', 'it takes uint8');
  } else if (value.dtype !== 'float32' && value.dtype !== 'float64') {
    misuse(`input '${name}' takes ${value.dtype}; pictures go into float32, float64 or uint8`);
  }
  const range: Range = bytes ? [0, 255] : (options.range ?? [0, 1]);
  const mean = perChannel('mean', options.mean ?? [0], channels);
  const std = perChannel('std', options.std ?? [1], channels);
  if (std.includes(0)) misuse('--std must not be 0');
  if (!bytes) {
    say(`values ${rangeText(range)}`, options.range === undefined ? 'by default' : 'stated');
    if (options.mean === undefined && options.std === undefined) say('no mean, no std', 'by default');
    else say(`less mean ${mean.join(', ')}, over std ${std.join(', ')}`, 'stated');
  }
  say(LETTERS[order], whyOrder);
  say(layout.toUpperCase(), why);

  const size = planSize(value, [shape[h], shape[w]], options);
  const fit = options.fit ?? 'crop';
  const resample = options.resample ?? 'lanczos3';
  if (size === undefined) {
    if (options.fit !== undefined) misuse(`--fit ${fit} needs a --size: the network leaves it open`);
    say("each picture's own size", 'the network leaves it open');
  } else {
    const how = { stretch: 'stretched to', crop: 'cut in the middle to', pad: 'fitted, black around, into' }[
      fit
    ];
    const chosen = [
      options.size ? 'size stated' : 'the size of the network',
      options.fit ? 'fit stated' : 'cutting by default',
    ];
    say(`${how} ${sizes([size.width, size.height])}, ${resample}`, chosen.join(', '));
  }
  return { input: name, layout, order, range, mean, std, size, fit, resample, bytes, words };
}

function planSize(value: OnnxValue, [h, w]: (number | string | undefined)[], { size }: PictureOptions) {
  const [fixedWidth, fixedHeight] = [w, h].map((length) => (isOpen(length) ? undefined : Number(length)));
  if (size === undefined) {
    if (fixedWidth === undefined && fixedHeight === undefined) return undefined;
    if (fixedWidth === undefined || fixedHeight === undefined)
      misuse(
        `input '${value.name}' has shape ${shapeOf(value)}, one side of it open`,
        'state --size WIDTHxHEIGHT',
      );
    return { width: fixedWidth, height: fixedHeight };
  }
  const [width, height] = size;
  if ((fixedWidth ?? width) !== width || (fixedHeight ?? height) !== height) {
    misuse(
      `--size ${width}x${height} is not what input '${value.name}' takes: width ${fixedWidth ?? 'open'}, height ${fixedHeight ?? 'open'}`,
    );
  }
  return { width, height };
}

/** Values of the 256 levels, per channel of the network. */
export function levelsOf({ range: [a, b], mean, std }: PicturePlan): Float32Array[] {
  return mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, v) => (a + (v / 255) * (b - a) - m) / std[c]),
  );
}

/** RGB bytes → one byte per channel of the plan: turned round for BGR; grey = (299 R + 587 G + 114 B) / 1000. */
export function reorder(data: Uint8Array, order: Order): Uint8Array {
  if (order === 'rgb') return data;
  if (order === 'bgr') {
    const out = new Uint8Array(data.length);
    for (let i = 0; i < data.length; i += 3) {
      out[i] = data[i + 2];
      out[i + 1] = data[i + 1];
      out[i + 2] = data[i];
    }
    return out;
  }
  const out = new Uint8Array(data.length / 3);
  for (let i = 0, j = 0; i < out.length; i++, j += 3)
    out[i] = Math.round((299 * data[j] + 587 * data[j + 1] + 114 * data[j + 2]) / 1000);
  return out;
}

/** Bytes, channels last, as the tensor that the plan describes. */
export function pixelTensor(
  data: Uint8Array,
  width: number,
  height: number,
  plan: PicturePlan,
  levels = levelsOf(plan),
): Tensor {
  const channels = levels.length;
  const plane = width * height;
  const first = plan.layout === 'nchw';
  const shape = first ? [1, channels, height, width] : [1, height, width, channels];
  const values = plan.bytes ? new Uint8Array(plane * channels) : new Float32Array(plane * channels);
  const [step, next] = first ? [1, plane] : [channels, 1];
  for (let c = 0; c < channels; c++) {
    const level = levels[c];
    for (let i = 0, from = c, to = c * next; i < plane; i++, from += channels, to += step)
      values[to] = plan.bytes ? data[from] : level[data[from]];
  }
  return tensor(values, shape);
}

/** Loads a picture as the plan says: bytes in the network's order, channels last. */
export async function loadPlanned(bytes: Uint8Array, name: string, plan: PicturePlan) {
  const resizing: Resizing | undefined = plan.size && { ...plan.size, fit: plan.fit, kernel: plan.resample };
  const { data, width, height, source } = await loadPixels(bytes, name, resizing);
  return { data: reorder(data, plan.order), width, height, source };
}

/** Reads "0.485,0.456,0.406". */
export function numberList(text: string): number[] {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!numbers.every(Number.isFinite)) misuse(`numbers with commas between are needed, got '${text}'`);
  return numbers;
}

/** Reads "0..1". */
export function readRange(text: string): Range {
  const ends = text.split('..').map((part) => (part === '' ? Number.NaN : Number(part)));
  if (ends.length !== 2 || !ends.every(Number.isFinite) || ends[0] >= ends[1])
    misuse(`a range is written as 0..1, -1..1 or 0..255, got '${text}'`);
  return [ends[0], ends[1]];
}

/** Reads "640x480", or "224" for a square. */
export function readSize(text: string): [number, number] {
  const [, width, height = width] = /^(\d+)(?:[x×](\d+))?$/i.exec(text) ?? [];
  if (
    width === undefined ||
    !(Number(width) >= 1) ||
    !(Number(height) >= 1) ||
    Number(width) * Number(height) > 2 ** 26
  )
    misuse(`a size is written as 640x480, width first, of at most 64 million pixels, got '${text}'`);
  return [Number(width), Number(height)];
}
