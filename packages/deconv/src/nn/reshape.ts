/** reshape: layers that change sizes and compute nothing of their own: resampling, shuffling, flattening, none. */
import { checkOptions, refuse, show } from '../errors.js';
import { asTensor } from '../ops/input.js';
import { pixelShuffle, pixelUnshuffle, reshape } from '../ops/layout.js';
import { type UpsampleOptions, upsample } from '../ops/upsample.js';
import { checkShape, normaliseAxis, type Shape, showShape, sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { Layer } from './module.js';
import { readCount } from './options.js';

/**
 * `upsample`: the picture in another size.
 *
 * @param options `{ size | scaleFactor, mode = 'nearest', alignCorners = false }`; a number is a scaleFactor
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { Upsample } from 'deconv/nn';
 * const layer = new Upsample({ scaleFactor: 2, mode: 'bilinear' });
 * console.log(layer.forward(zeros([1, 3, 8, 8])).shape); // [ 1, 3, 16, 16 ]
 * ```
 */
export class Upsample extends Layer {
  readonly #options: UpsampleOptions;

  constructor(options: UpsampleOptions | number) {
    super('Upsample');
    const given = typeof options === 'number' ? { scaleFactor: options } : options;
    checkOptions(this.type, given, ['size', 'scaleFactor', 'mode', 'alignCorners']);
    if ((given?.size === undefined) === (given?.scaleFactor === undefined))
      refuse(this.type, 'size', 'give either size or scaleFactor');
    this.#options = Object.freeze({ ...given });
  }

  forward(x: Tensor): Tensor {
    return upsample(x, this.#options);
  }
}

/** `pixelShuffle`: (N, C·f², H, W) → (N, C, H·f, W·f). */
export class PixelShuffle extends Layer {
  readonly factor: number;

  constructor(factor: number) {
    super('PixelShuffle');
    this.factor = readCount(this.type, 'factor', factor);
  }

  forward(x: Tensor): Tensor {
    return pixelShuffle(x, this.factor);
  }
}

/** `pixelUnshuffle`: (N, C, H·f, W·f) → (N, C·f², H, W). */
export class PixelUnshuffle extends Layer {
  readonly factor: number;

  constructor(factor: number) {
    super('PixelUnshuffle');
    this.factor = readCount(this.type, 'factor', factor);
  }

  forward(x: Tensor): Tensor {
    return pixelUnshuffle(x, this.factor);
  }
}

/**
 * Axes made into one: from `start` to `end`, both included.
 *
 * @param start default 1: the batch stays
 * @param end default −1
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { Flatten } from 'deconv/nn';
 * console.log(new Flatten().forward(zeros([2, 3, 4, 5])).shape); // [ 2, 60 ]
 * ```
 */
export class Flatten extends Layer {
  readonly #start: number;
  readonly #end: number;

  constructor(start = 1, end = -1) {
    super('Flatten');
    this.#start = readCount(this.type, 'start', start, Number.NEGATIVE_INFINITY);
    this.#end = readCount(this.type, 'end', end, Number.NEGATIVE_INFINITY);
  }

  forward(x: Tensor): Tensor {
    const input = asTensor(this.type, 'input', x);
    const { shape, rank } = input;
    const first = normaliseAxis(this.type, this.#start, rank, 'start');
    const last = normaliseAxis(this.type, this.#end, rank, 'end');
    if (first > last) refuse(this.type, 'start', `start ${this.#start} must not come after end ${this.#end}`);
    return reshape(input, [
      ...shape.slice(0, first),
      sizeOf(shape.slice(first, last + 1)),
      ...shape.slice(last + 1),
    ]);
  }
}

/**
 * One axis made into several.
 *
 * @param axis negative counts from the end
 * @param shape what it becomes; one length may be −1 and is worked out
 * @example
 * ```ts
 * import { zeros } from 'deconv';
 * import { Unflatten } from 'deconv/nn';
 * console.log(new Unflatten(1, [-1, 7, 7]).forward(zeros([2, 98])).shape); // [ 2, 2, 7, 7 ]
 * ```
 */
export class Unflatten extends Layer {
  readonly #axis: number;
  readonly #shape: Shape;

  constructor(axis: number, shape: Shape) {
    super('Unflatten');
    this.#axis = readCount(this.type, 'axis', axis, Number.NEGATIVE_INFINITY);
    if (!Array.isArray(shape))
      refuse(this.type, 'shape', `shape must be an array of axis lengths, got ${show(shape)}`);
    checkShape(
      this.type,
      'shape',
      shape.map((length, i) => (length === -1 && shape.indexOf(-1) === i ? 1 : length)),
    );
    this.#shape = Object.freeze([...shape]);
  }

  forward(x: Tensor): Tensor {
    const input = asTensor(this.type, 'input', x);
    const at = normaliseAxis(this.type, this.#axis, input.rank);
    const known = sizeOf(this.#shape.filter((length) => length !== -1));
    const length = input.shape[at];
    const open = this.#shape.includes(-1);
    if (open ? known === 0 || length % known !== 0 : length !== known) {
      refuse(this.type, 'shape', `shape ${showShape(this.#shape)} does not hold the ${length} of axis ${at}`);
    }
    const parts = this.#shape.map((part) => (part === -1 ? length / known : part));
    return reshape(input, [...input.shape.slice(0, at), ...parts, ...input.shape.slice(at + 1)]);
  }
}

/** Gives back what it gets: a place for a layer that a network does without. */
export class Identity extends Layer {
  constructor() {
    super('Identity');
  }

  forward(x: Tensor): Tensor {
    return x;
  }
}
