/** display: numbers as grey values. Any range is stretched to 0…255; nothing is ever NaN. */
import { checkName, checkOptions, refuse, show } from '../errors.js';
import { asTensor } from '../ops/input.js';
import { showShape, sizeOf } from '../shape.js';
import { allocate, hostTensor, type Tensor } from '../tensor.js';

/** Options of {@link toDisplay}. */
export interface DisplayOptions {
  /** Over what the range is taken: each picture of the batch, or each of its channels by itself. Default `'image'`. */
  readonly per?: 'image' | 'channel' | undefined;
  /** Show signed values around mid-grey: 0 → 128, the largest magnitude → 1 or 255. Default false. */
  readonly signed?: boolean | undefined;
  /** Number type of the result: `'uint8'` cuts fractions off, the others keep them. Default `'uint8'`. */
  readonly dtype?: 'uint8' | 'float32' | 'float64' | undefined;
}

/**
 * Values stretched to the range 0…255 for showing: 255·(x − min) / (max − min), fractions cut off; a constant picture
 * is all 0. NaN is shown as 0 (signed: as mid-grey) and infinities as the ends; neither counts for the range.
 *
 * @param x (H, W), (C, H, W) or (N, C, H, W)
 * @returns the same shape, 0…255
 * @example
 * ```ts
 * import { tensor, toDisplay } from 'deconv';
 * console.log(toDisplay(tensor([[37, 121], [178, 500]])).data); // Uint8Array(4) [ 0, 46, 77, 255 ]
 * console.log(toDisplay(tensor([[-2, 0, 1]]), { signed: true }).data); // Uint8Array(3) [ 1, 128, 192 ]
 * ```
 */
export function toDisplay(x: Tensor, options: DisplayOptions = {}): Tensor {
  const op = 'toDisplay';
  const input = asTensor(op, 'x', x);
  checkOptions(op, options, ['per', 'signed', 'dtype']);
  const { per = 'image', signed = false, dtype = 'uint8' } = options;
  checkName(op, 'per', per, ['image', 'channel']);
  checkName(op, 'dtype', dtype, ['uint8', 'float32', 'float64']);
  if (typeof signed !== 'boolean') refuse(op, 'signed', `signed must be true or false, got ${show(signed)}`);
  const { rank, shape, data } = input;
  if (rank < 2 || rank > 4)
    refuse(op, 'x', `x must be (H, W), (C, H, W) or (N, C, H, W), got ${showShape(shape)}`);
  const block = sizeOf(shape.slice(per === 'channel' ? -2 : -3));
  const out = allocate(dtype, data.length);
  for (let start = 0; start < data.length; start += block) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = start; i < start + block; i++) {
      if (!Number.isFinite(data[i])) continue;
      low = Math.min(low, data[i]);
      high = Math.max(high, data[i]);
    }
    if (low > high) low = high = 0;
    // Half of everything, where the whole range is more than the largest number.
    const unit = Number.isFinite(high - low) ? 1 : 0.5;
    const span = high * unit - low * unit;
    const largest = Math.max(Math.abs(low), Math.abs(high));
    for (let i = start; i < start + block; i++) {
      const value = Math.min(high, Math.max(low, data[i]));
      // Signed: 128.5 ± 127 cuts off to 1, 128 and 255. A range of 0 divides nothing.
      if (signed)
        out[i] = (dtype === 'uint8' ? 128.5 : 128) + (largest > 0 ? 127 * ((value || 0) / largest) : 0);
      else out[i] = span > 0 && !Number.isNaN(value) ? ((value * unit - low * unit) / span) * 255 : 0;
    }
  }
  return hostTensor(out, shape);
}
