/**
 * augment: random views of pictures, for {@link mapDataset}. All pictures of a sample (tensors with at least two axes,
 * the last two being height and width) are treated alike, so that a mask stays on its picture and a low resolution on its
 * high one; tensors with fewer axes, labels, pass through.
 */
import { checkOptions, refuse, show } from '../../errors.js';
import { perAxis, type Shape, showShape, sizeOf } from '../../shape.js';
import { allocate, hostTensor, type Tensor, type TypedArray } from '../../tensor.js';
import { readCount, readFlag } from '../options.js';
import type { SampleMap } from './dataset.js';
import { integer } from './random.js';

/** Height and width of a picture. */
const sidesOf = (shape: Shape): [height: number, width: number] => [shape.at(-2) ?? 1, shape.at(-1) ?? 1];

/** Options of {@link randomCrop}. */
export interface RandomCropOptions {
  /**
   * How much larger the pictures after the first are, and are cropped: one number for all of them, or one each. Default 1.
   * For super-resolution by 4, [low, high] with `scale: 4`.
   */
  readonly scale?: number | readonly number[] | undefined;
  /** Zeros that are thought around the first picture before it is cropped (others: times their scale). Default 0. */
  readonly padding?: number | undefined;
}

/** The window of `size` at (top, left), zero where it reaches out of the picture; [..., H, W] → [..., size]. */
function crop(x: Tensor, [top, left]: readonly number[], [height, width]: readonly number[]): Tensor {
  const { data, shape, dtype } = x;
  const [fullHeight, fullWidth] = sidesOf(shape);
  const planes = sizeOf(shape.slice(0, -2));
  const out = allocate(dtype, planes * height * width);
  const from = Math.max(0, left);
  const to = Math.min(fullWidth, left + width);
  for (let plane = 0; plane < planes; plane++) {
    for (let y = Math.max(0, -top); y < height && top + y < fullHeight; y++) {
      const row = (plane * fullHeight + top + y) * fullWidth;
      out.set(data.subarray(row + from, row + to), (plane * height + y) * width + from - left);
    }
  }
  return hostTensor(out, [...shape.slice(0, -2), height, width]);
}

/**
 * A random window of each sample's pictures, the same in all of them.
 *
 * @param size height and width of the window in the first picture; one number for both
 * @returns a map for {@link mapDataset}: [..., H, W] → [..., height, width]
 * @throws DeconvError, when a sample comes, for a picture smaller than the window, and for pictures whose sizes are not in the proportion
 *   of `scale`
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { mapDataset, randomCrop, tensorDataset } from 'deconv/nn';
 * const pairs = tensorDataset(zeros([10, 3, 24, 24]), zeros([10, 3, 96, 96]));
 * const patches = mapDataset(pairs, randomCrop(16, { scale: 4 }));
 * const [low, high] = await patches.get(0, Math.random);
 * console.log(low.shape, high.shape); // [ 3, 16, 16 ] [ 3, 64, 64 ]
 * ```
 */
export function randomCrop(size: number | readonly number[], options: RandomCropOptions = {}): SampleMap {
  const op = 'randomCrop';
  checkOptions(op, options, ['scale', 'padding']);
  const window = perAxis(op, 'size', size, 2, 1);
  const padding = readCount(op, 'padding', options.padding ?? 0, 0);
  const { scale = 1 } = options;
  for (const factor of [scale].flat()) readCount(op, 'scale', factor);

  return (sample, random) => {
    const pictures = sample.filter((x) => x.rank >= 2);
    if (pictures.length === 0) return sample;
    const scales = [1, ...(typeof scale === 'number' ? pictures.slice(1).map(() => scale) : scale)];
    if (scales.length !== pictures.length) {
      refuse(
        op,
        'scale',
        `scale ${show(scale)} is for ${scales.length} pictures, the sample has ${pictures.length}`,
      );
    }
    const sides = sidesOf(pictures[0].shape);
    if (sides.some((side, axis) => side + 2 * padding < window[axis])) {
      const around = padding === 0 ? '' : ` with padding ${padding}`;
      refuse(op, 'size', `size ${showShape(window)} is larger than the picture ${showShape(sides)}${around}`);
    }
    // Drawn even where there is only one place, so that what is drawn afterwards does not depend on sizes.
    const corner = sides.map(
      (side, axis) => integer(random, side + 2 * padding - window[axis] + 1) - padding,
    );
    let picture = 0;
    return sample.map((x) => {
      if (x.rank < 2) return x;
      const factor = scales[picture++];
      const wanted = sides.map((side) => side * factor);
      if (sidesOf(x.shape).some((side, axis) => side !== wanted[axis])) {
        const rule = `a picture of scale ${factor} must be ${showShape(wanted)} beside ${showShape(sides)}`;
        refuse(op, 'scale', `${rule}, got ${showShape(sidesOf(x.shape))}`);
      }
      return crop(
        x,
        corner.map((at) => at * factor),
        window.map((side) => side * factor),
      );
    });
  };
}

/** Options of {@link randomFlip}. */
export interface RandomFlipOptions {
  /** Exchange left and right in half of the samples. Default true. */
  readonly horizontal?: boolean | undefined;
  /** Exchange top and bottom in half of the samples. Default false. */
  readonly vertical?: boolean | undefined;
}

/** Rows and columns in the order wanted, [..., H, W]. */
function mirror(x: Tensor, horizontal: boolean, vertical: boolean): Tensor {
  const { data, shape, dtype } = x;
  const [height, width] = sidesOf(shape);
  const out: TypedArray = allocate(dtype, data.length);
  for (let start = 0; start < data.length; start += width) {
    const row = start / width;
    const y = row % height;
    const from = vertical ? (row - y + height - 1 - y) * width : start;
    const values = data.subarray(from, from + width);
    out.set(values, start);
    if (horizontal) out.subarray(start, start + width).reverse();
  }
  return hostTensor(out, shape);
}

/**
 * Mirrors all pictures of a sample alike, each way with probability ½.
 *
 * @returns a map for {@link mapDataset}; shapes stay
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { mapDataset, randomFlip, tensorDataset } from 'deconv/nn';
 * const pictures = tensorDataset(tensor([[[1, 2], [3, 4]]]));
 * const [x] = await mapDataset(pictures, randomFlip()).get(0, () => 0.1);
 * console.log(x.toArray()); // [ [ 2, 1 ], [ 4, 3 ] ]
 * ```
 */
export function randomFlip(options: RandomFlipOptions = {}): SampleMap {
  const op = 'randomFlip';
  checkOptions(op, options, ['horizontal', 'vertical']);
  const horizontal = readFlag(op, 'horizontal', options.horizontal ?? true);
  const vertical = readFlag(op, 'vertical', options.vertical ?? false);
  return (sample, random) => {
    // Both are drawn in any case, so that one option does not change what the other does.
    const [flipX, flipY] = [random() < 0.5 && horizontal, random() < 0.5 && vertical];
    if (!flipX && !flipY) return sample;
    return sample.map((x) => (x.rank < 2 ? x : mirror(x, flipX, flipY)));
  };
}
