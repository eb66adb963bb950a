/**
 * upsample: resizing by nearest neighbour, linear or cubic interpolation, 1 to 3 spatial axes. Each axis is a small sparse
 * matrix (which inputs, with what weight, make each output), applied axis by axis; the gradient is its transpose.
 *
 * Where output position o lies in the input, with scale = n / out:
 *   nearest              floor(o · scale)
 *   linear               (o + ½) · scale − ½      pixels are areas, as cameras have it
 *   linear, alignCorners o · (n − 1) / (out − 1)  pixels are points, first and last stay put
 *   cubic                as linear, but not held to the first pixel's middle
 *
 * Cubic is the convolution of Keys (1981) with a = −3/4, as PyTorch and OpenCV have it; beyond its ends an axis goes on
 * with its last values.
 */
import type { AxisMap } from '../backend.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { type PerAxis, perAxis, showShape } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { asFloat } from './input.js';
import { mapAxis, reshape } from './layout.js';

const MODES = ['nearest', 'linear', 'bilinear', 'trilinear', 'cubic', 'bicubic'] as const;

/** Options of {@link upsample}: one of `size` and `scaleFactor`, and how. */
export interface UpsampleOptions {
  /** Spatial size of the result, per axis. */
  readonly size?: PerAxis | undefined;
  /** The result is floor(n · scaleFactor) long, per axis. > 0. */
  readonly scaleFactor?: PerAxis | undefined;
  /**
   * `'nearest'`, `'linear'` or `'cubic'`; `'bilinear'`, `'trilinear'` and `'bicubic'` are the same over two or three axes.
   * Default `'nearest'`.
   */
  readonly mode?: (typeof MODES)[number] | undefined;
  /** Not with nearest: first and last pixel keep their places. Default false. */
  readonly alignCorners?: boolean | undefined;
}

/** A whole position and the part of the way to the next, 0 ≤ rest < 1. */
interface Place {
  readonly left: number;
  readonly rest: number;
}

/** a / b: divided at the very end, so that what is whole stays whole, and the same rests come back bit for bit. */
function placeAt(a: number, b: number): Place {
  const left = Math.floor(a / b);
  return { left, rest: (a - left * b) / b };
}

/** Denominators that a factor may have to be taken for a fraction, as 1.7 is for 17/10. */
const MOST_PARTS = 1000;

/** out / n as a fraction of whole numbers; of an odd factor itself, over 1. */
function fractionOf(factor: number): readonly [number, number] {
  for (let q = 1; q <= MOST_PARTS; q++) {
    const p = Math.round(factor * q);
    if (p / q === factor) return [p, q];
  }
  return [factor, 1];
}

function nearestMap(n: number, out: number, [p, q]: readonly [number, number]): AxisMap {
  const index = new Int32Array(out);
  for (let o = 0; o < out; o++) index[o] = Math.min(n - 1, Math.floor((o * q) / p));
  return { inLength: n, outLength: out, taps: 1, index, weight: new Float64Array(out).fill(1) };
}

/** Where output o lies in the input, for out / n = p / q. With one output pixel there is no second corner to align: it shows the first input. */
function placeOf(
  o: number,
  n: number,
  out: number,
  [p, q]: readonly [number, number],
  alignCorners: boolean,
): Place {
  if (!alignCorners) return placeAt((2 * o + 1) * q - p, 2 * p);
  return out > 1 ? placeAt(o * (n - 1), out - 1) : { left: 0, rest: 0 };
}

function linearMap(
  n: number,
  out: number,
  factor: readonly [number, number],
  alignCorners: boolean,
): AxisMap {
  const index = new Int32Array(2 * out);
  const weight = new Float64Array(2 * out);
  for (let o = 0; o < out; o++) {
    const place = placeOf(o, n, out, factor, alignCorners);
    const { left, rest } = place.left < 0 ? { left: 0, rest: 0 } : place;
    index[2 * o] = Math.min(n - 1, left);
    index[2 * o + 1] = Math.min(n - 1, left + 1);
    weight[2 * o + 1] = rest;
    weight[2 * o] = 1 - rest;
  }
  return { inLength: n, outLength: out, taps: 2, index, weight };
}

/** Weight of a tap at distance d: (a+2)d³ − (a+3)d² + 1 up to 1, a·(d³ − 5d² + 8d − 4) up to 2. */
function cubicWeight(d: number): number {
  const a = -0.75;
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : a * (((d - 5) * d + 8) * d - 4);
}

function cubicMap(n: number, out: number, factor: readonly [number, number], alignCorners: boolean): AxisMap {
  const index = new Int32Array(4 * out);
  const weight = new Float64Array(4 * out);
  for (let o = 0; o < out; o++) {
    const { left, rest } = placeOf(o, n, out, factor, alignCorners);
    for (let t = 0; t < 4; t++) {
      index[4 * o + t] = Math.min(n - 1, Math.max(0, left - 1 + t));
      weight[4 * o + t] = cubicWeight(Math.abs(rest + 1 - t));
    }
  }
  return { inLength: n, outLength: out, taps: 4, index, weight };
}

/**
 * x resized along its spatial axes.
 *
 * @param x (N, C, …1 to 3 spatial axes)
 * @param options `{ size | scaleFactor, mode, alignCorners }`; a number is a scaleFactor
 * @example
 * ```ts
 * import { tensor, upsample } from 'deconv';
 * const x = tensor([[[0, 1]]]);
 * console.log(upsample(x, 2).toArray()); // [ [ [ 0, 0, 1, 1 ] ] ]
 * console.log(upsample(x, { size: 3, mode: 'linear', alignCorners: true }).toArray()); // [ [ [ 0, 0.5, 1 ] ] ]
 * ```
 */
export function upsample(x: Tensor, options: UpsampleOptions | number): Tensor {
  const op = 'upsample';
  if (options === undefined) refuse(op, 'size', 'give either size or scaleFactor');
  const given: UpsampleOptions = typeof options === 'number' ? { scaleFactor: options } : options;
  checkOptions(op, given, ['size', 'scaleFactor', 'mode', 'alignCorners']);
  const input = asFloat(op, 'x', x);
  const rank = input.rank - 2;
  if (rank < 1 || rank > 3)
    refuse(op, 'x', `x must be (N, C, …1 to 3 spatial axes), got ${showShape(input.shape)}`);
  const mode = given.mode ?? 'nearest';
  checkName(op, 'mode', mode, MODES);
  const meant = { bilinear: 2, trilinear: 3, bicubic: 2 }[mode as string];
  if (meant !== undefined && meant !== rank) {
    refuse(
      op,
      'mode',
      `mode '${mode}' is for ${meant} spatial axes, x has ${rank}`,
      `use '${mode.replace(/^bi|^tri/, '')}' for any number`,
    );
  }
  const alignCorners = given.alignCorners ?? false;
  if (typeof alignCorners !== 'boolean')
    refuse(op, 'alignCorners', `alignCorners must be true or false, got ${show(alignCorners)}`);
  if (alignCorners && mode === 'nearest')
    refuse(op, 'alignCorners', "alignCorners has no meaning with mode 'nearest'");
  if ((given.size === undefined) === (given.scaleFactor === undefined)) {
    refuse(op, 'size', 'give either size or scaleFactor');
  }
  const space = input.shape.slice(2);
  let size: number[];
  let factors: number[] | undefined;
  if (given.size !== undefined) {
    size = perAxis(op, 'size', given.size, rank, 1);
  } else {
    factors = Array.isArray(given.scaleFactor)
      ? [...given.scaleFactor]
      : new Array(rank).fill(given.scaleFactor);
    if (factors.length !== rank || !factors.every((factor) => Number.isFinite(factor) && factor > 0)) {
      refuse(
        op,
        'scaleFactor',
        `scaleFactor must be a number > 0, or ${rank} of them, got ${show(given.scaleFactor)}`,
      );
    }
    size = space.map((n, axis) => Math.floor(n * (factors as number[])[axis]));
    if (size.some((length) => length < 1)) {
      refuse(
        op,
        'scaleFactor',
        `scaleFactor ${show(given.scaleFactor)} leaves nothing of ${showShape(input.shape)}`,
      );
    }
  }
  if (space.some((length) => length < 1))
    refuse(op, 'x', `x has an empty spatial axis, shape ${showShape(input.shape)}`);
  const resizeAxis = (output: Tensor, n: number, axis: number): Tensor => {
    const out = size[axis];
    // The stated factor, not the rounded one, says where pixels lie.
    const factor = factors === undefined ? ([out, n] as const) : fractionOf(factors[axis]);
    if (n === out && factor[0] === factor[1]) return output;
    const map =
      mode === 'nearest'
        ? nearestMap(n, out, factor)
        : (mode.endsWith('cubic') ? cubicMap : linearMap)(n, out, factor, alignCorners);
    return mapAxis(op, output, axis + 2, map);
  };
  return scoped(() => {
    // Of nothing, nothing is read: sizes may be as large as they like.
    const output =
      input.size === 0
        ? reshape(input, [...input.shape.slice(0, 2), ...size])
        : space.reduce(resizeAxis, input.share());
    const kind = mode === 'nearest' ? mode : mode.endsWith('cubic') ? 'cubic' : 'linear';
    tracer?.(op, [input], [output], { mode: kind, alignCorners, factors });
    return output;
  });
}
