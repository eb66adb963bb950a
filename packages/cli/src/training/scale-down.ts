/**
 * scale-down: pictures made smaller by a whole factor, as upscalers are to undo it. Two ways that differ in what they keep:
 *
 *     area     each pixel is the mean of its s × s
 *     bicubic  the cubic convolution of Keys (1981) with a = −½, stretched by s, as most programs scale pictures down
 *
 * Both are separable and centred, add up to 1, repeat the edge, and round to bytes at the end.
 */
import type { Pixels } from '../pictures.js';

/** Ways to scale down. */
export const DEGRADATIONS = ['bicubic', 'area'] as const;
export type Degradation = (typeof DEGRADATIONS)[number];

/** Weights of the pixels from `first` (counted from o·s) on that make pixel o. */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Weight at distance d, a = −½: (a+2)d³ − (a+3)d² + 1 up to 1, a·(d³ − 5d² + 8d − 4) up to 2. */
function cubic(d: number): number {
  const a = -0.5;
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? a * (((d - 5) * d + 8) * d - 4) : 0;
}

function tapsOf(how: Degradation, factor: number): Taps {
  if (how === 'area') return { first: 0, weights: new Float64Array(factor).fill(1 / factor) };
  const centre = (factor - 1) / 2;
  const first = Math.ceil(centre - 2 * factor);
  const last = Math.floor(centre + 2 * factor);
  const raw = Float64Array.from({ length: last - first + 1 }, (_, i) =>
    cubic(Math.abs(first + i - centre) / factor),
  );
  const total = raw.reduce((a, b) => a + b, 0);
  return { first, weights: raw.map((w) => w / total) };
}

/** The picture without the last rows and columns that do not divide by the factor. */
export function cutTo(picture: Pixels, multiple: number): Pixels {
  const width = picture.width - (picture.width % multiple);
  const height = picture.height - (picture.height % multiple);
  if (width === picture.width && height === picture.height) return picture;
  return cropPixels(picture, 0, 0, width, height);
}

/** A window of a picture, copied. */
export function cropPixels(
  picture: Pixels,
  left: number,
  top: number,
  width: number,
  height: number,
): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 3;
    data.set(picture.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}

/** A picture whose sides divide by `factor`, that many times smaller. */
export function scaleDown(picture: Pixels, factor: number, how: Degradation): Pixels {
  const { first, weights } = tapsOf(how, factor);
  const [width, height] = [picture.width / factor, picture.height / factor];
  const within = (at: number, length: number) => Math.min(length - 1, Math.max(0, at));
  // Rows first: (height, width·factor) → (height, width).
  const rows = new Float32Array(picture.height * width * 3);
  for (let y = 0, to = 0; y < picture.height; y++) {
    const row = y * picture.width;
    for (let x = 0; x < width; x++, to += 3) {
      for (let t = 0; t < weights.length; t++) {
        const from = (row + within(x * factor + first + t, picture.width)) * 3;
        for (let c = 0; c < 3; c++) rows[to + c] += weights[t] * picture.data[from + c];
      }
    }
  }
  const data = new Uint8ClampedArray(height * width * 3);
  const line = new Float64Array(width * 3);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let t = 0; t < weights.length; t++) {
      const from = within(y * factor + first + t, picture.height) * line.length;
      for (let i = 0; i < line.length; i++) line[i] += weights[t] * rows[from + i];
    }
    data.set(line, y * line.length);
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}
