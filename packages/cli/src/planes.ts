/**
 * planes: between the pixels of pictures (bytes, channels last) and tensors (1, channels, height, width), and the few
 * measures that are taken of them.
 */
import { type Tensor, tensor } from 'deconv';
import type { Pixels } from './pictures.js';

/** So many pixels are reached so many times. */
export interface CoverageBin {
  readonly count: number;
  readonly pixels: number;
}

/** RGB bytes, channels last → (1, 3, H, W) in 0…1. */
export function toTensor({ width, height, data }: Pixels): Tensor {
  const plane = width * height;
  const values = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) values[c * plane + i] = data[i * 3 + c] / 255;
  }
  return tensor(values, [1, 3, height, width]);
}

/** (1, 3, H, W) → RGB bytes: times `scale`, rounded, clipped to 0…255. */
export function fromTensor(t: Tensor, scale: number): Pixels {
  const [, , height, width] = t.shape;
  const plane = width * height;
  const values = t.data;
  const data = new Uint8ClampedArray(3 * plane);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) data[i * 3 + c] = Number(values[c * plane + i]) * scale;
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/**
 * Peak signal-to-noise ratio in dB: 10·log₁₀(255² / mean squared difference), over all pixels that a window reaches.
 * Infinite when none differs.
 */
export function psnrOf(a: Pixels, b: Pixels, counts: ArrayLike<number | bigint>): number {
  let sum = 0;
  let reached = 0;
  for (let i = 0; i < counts.length; i++) {
    if (Number(counts[i]) === 0) continue;
    reached++;
    for (let c = 0; c < 3; c++) sum += (a.data[i * 3 + c] - b.data[i * 3 + c]) ** 2;
  }
  return 10 * Math.log10(255 ** 2 / (sum / (3 * reached)));
}

/** How many pixels have each coverage, ascending. */
export function histogramOf(counts: ArrayLike<number | bigint>): CoverageBin[] {
  const pixels = new Map<number, number>();
  for (let i = 0; i < counts.length; i++) {
    const count = Number(counts[i]);
    pixels.set(count, (pixels.get(count) ?? 0) + 1);
  }
  return [...pixels].sort(([a], [b]) => a - b).map(([count, many]) => ({ count, pixels: many }));
}

/** Feature maps (1, F, n, n) by the sum of their squares, the largest first. */
export function strongestMaps(y: Tensor, most: number): number[] {
  const [, filters, height, width] = y.shape;
  const plane = height * width;
  const energy = Array.from({ length: filters }, (_, f) => {
    let sum = 0;
    for (let i = f * plane; i < (f + 1) * plane; i++) sum += Number(y.data[i]) ** 2;
    return sum;
  });
  return energy
    .map((_, f) => f)
    .sort((a, b) => energy[b] - energy[a] || a - b)
    .slice(0, most);
}

/** One plane of values in 0…255 as colours. */
export function coloured(
  values: ArrayLike<number | bigint>,
  width: number,
  height: number,
  colour: (v: number) => number[],
): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set(colour(Number(values[i])), i * 3);
  return { width, height, data };
}
