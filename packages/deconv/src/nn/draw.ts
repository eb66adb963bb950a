/** draw: tensors of seeded random numbers, the ground that layers and initialisers stand on. */
import { fromValues } from '../ops/input.js';
import { type Shape, sizeOf } from '../shape.js';
import { allocate, type DType, type Tensor } from '../tensor.js';

/** A seeded stream of numbers, uniform in [0, 1), as `randomStream` makes it. */
export type RandomStream = () => number;

/** Numbers drawn one after the other, in row-major order. */
export function drawn(shape: Shape, dtype: DType, draw: () => number): Tensor {
  return fromValues(allocate(dtype, sizeOf(shape)).map(draw), shape);
}

/** One number, uniform in [low, high). */
export function drawUniform(next: RandomStream, low: number, high: number): number {
  return low + (high - low) * next();
}

/** One number, normal with mean 0 and variance 1 (Box and Muller's transform). */
export function drawNormal(next: RandomStream): number {
  // 1 − u lies in (0, 1], so that the logarithm is finite.
  const radius = Math.sqrt(-2 * Math.log(1 - next()));
  return radius * Math.cos(2 * Math.PI * next());
}

/** PyTorch's default for the weights and biases of convolutions and linear layers: uniform within ±1/√fanIn. */
export function drawnWithin(next: RandomStream, shape: Shape, dtype: DType, fanIn: number): Tensor {
  const bound = fanIn > 0 ? 1 / Math.sqrt(fanIn) : 0;
  return drawn(shape, dtype, () => drawUniform(next, -bound, bound));
}
