/**
 * bank: a bank of filters that needs no training: an orthonormal basis of the small pictures a kernel sees, ordered by
 * how much of a natural picture each filter carries. Because the rows are orthonormal, the transposed convolution of a
 * convolution with the bank is, window by window, the best approximation of the window that so many filters allow.
 *
 * Across space: the two-dimensional discrete cosine transform DCT-II (Ahmed, Natarajan & Rao 1974). Across channels:
 * for three, the sum and two opponents (grey, red–blue, green–magenta); for other numbers a DCT again.
 */
import { checkName, checkOptions, refuse } from '../errors.js';
import { fromValues } from '../ops/input.js';
import { type PerAxis, perAxis } from '../shape.js';
import { convert, type Tensor } from '../tensor.js';

/** Options of {@link dctBank}. */
export interface DctBankOptions {
  /** Channels of the picture. Default 3. */
  readonly channels?: number | undefined;
  /** Kernel height and width. Default 11. */
  readonly kernelSize?: PerAxis | undefined;
  /** Number of filters, at most channels·height·width. Default: all. */
  readonly filters?: number | undefined;
  /** Number type. Default `'float32'`. */
  readonly dtype?: 'float32' | 'float64' | undefined;
}

/** Row f of the orthonormal DCT-II of length n: √(2/n)·cos(π(2i+1)f / 2n), row 0 scaled by 1/√2. */
function cosine(n: number, f: number): number[] {
  const scale = Math.sqrt((f === 0 ? 1 : 2) / n);
  return Array.from({ length: n }, (_, i) => scale * Math.cos((Math.PI * (2 * i + 1) * f) / (2 * n)));
}

const OPPONENTS = [
  [1 / Math.sqrt(3), 1 / Math.sqrt(3), 1 / Math.sqrt(3)],
  [1 / Math.sqrt(2), 0, -1 / Math.sqrt(2)],
  [1 / Math.sqrt(6), -2 / Math.sqrt(6), 1 / Math.sqrt(6)],
];

/** Share of a photograph's energy in colour differences, next to 1 for grey: an order of magnitude, not a measurement. */
const COLOUR_ENERGY = 0.05;

/**
 * An orthonormal filter bank for convolution and its transpose, coarsest filters first.
 *
 * @returns (filters, channels, height, width), rows orthonormal
 * @throws DeconvError for more filters than the kernel has dimensions
 * @example
 * ```ts
 * import { conv2d, convTranspose2d, zeros } from 'deconv';
 * import { dctBank } from 'deconv/vis';
 * const bank = dctBank({ channels: 3, kernelSize: 11, filters: 96 });
 * const maps = conv2d(zeros([1, 3, 227, 227]), bank, { stride: 4 });
 * const back = convTranspose2d(maps, bank, { stride: 4, overlap: 'average' });
 * console.log(maps.shape, back.shape); // [ 1, 96, 55, 55 ] [ 1, 3, 227, 227 ]
 * ```
 */
export function dctBank(options: DctBankOptions = {}): Tensor {
  const op = 'dctBank';
  checkOptions(op, options, ['channels', 'kernelSize', 'filters', 'dtype']);
  const dtype = options.dtype ?? 'float32';
  checkName(op, 'dtype', dtype, ['float32', 'float64']);
  const [channels] = perAxis(op, 'channels', options.channels ?? 3, 1, 1);
  const [height, width] = perAxis(op, 'kernelSize', options.kernelSize ?? 11, 2, 1);
  const dimensions = channels * height * width;
  const [filters] = perAxis(op, 'filters', options.filters ?? dimensions, 1, 1);
  if (filters > dimensions) {
    refuse(
      op,
      'filters',
      `filters ${filters} must be ≤ ${channels}·${height}·${width} = ${dimensions}, the dimensions of the kernel`,
    );
  }
  const order: { c: number; v: number; u: number; energy: number }[] = [];
  for (let c = 0; c < channels; c++) {
    for (let v = 0; v < height; v++) {
      for (let u = 0; u < width; u++) {
        // The power of natural pictures falls with the square of the spatial frequency (Field 1987).
        const frequency = (v / height) ** 2 + (u / width) ** 2 + 1 / (4 * height * width);
        order.push({ c, v, u, energy: (c === 0 ? 1 : COLOUR_ENERGY) / frequency });
      }
    }
  }
  order.sort((a, b) => b.energy - a.energy);
  const values = order.slice(0, filters).flatMap(({ c, v, u }) => {
    const across = channels === 3 ? OPPONENTS[c] : cosine(channels, c);
    const [down, along] = [cosine(height, v), cosine(width, u)];
    return across.flatMap((a) => down.flatMap((b) => along.map((x) => a * b * x)));
  });
  return fromValues(convert(dtype, values), [filters, channels, height, width]);
}
