/** rmsprop: gradients divided by a running root mean square. */
import type { Tensor, TypedArray } from '../tensor.js';
import { type Memory, Optimizer, type OptimizerOptions, readNumber, readPositive } from './optimizer.js';

/** Options of {@link RMSProp}. */
export interface RMSPropOptions extends OptimizerOptions {
  /** Memory of the mean square, in [0, 1). Default 0.99. */
  readonly alpha?: number | undefined;
  /** Share of the previous step that goes on, in [0, 1). Default 0. */
  readonly momentum?: number | undefined;
  /** Added to the denominator, after the root. Default 1e-8. */
  readonly eps?: number | undefined;
}

/**
 * RMSProp (Tieleman & Hinton 2012, lecture 6.5). With g the gradient plus weightDecay·p:
 *
 *     v ← αv + (1 − α)g²;  b ← momentum·b + g / (√v + eps);  p ← p − lr·b
 *
 * @param options `{ lr = 0.01, alpha = 0.99, momentum = 0, eps = 1e-8, weightDecay = 0 }`
 * @example
 * ```ts
 * import { square, sum, tensor } from 'deconv';
 * import { RMSProp } from 'deconv/optim';
 * const x = tensor([4], { requiresGrad: true, dtype: 'float64' });
 * sum(square(x)).backward();
 * new RMSProp([x], { lr: 0.1 }).step(); // g / √(0.01 g²) = 10, times lr
 * console.log(x.item().toFixed(4)); // 3.0000
 * ```
 */
export class RMSProp extends Optimizer {
  readonly #alpha: number;
  readonly #momentum: number;
  readonly #eps: number;
  readonly #weightDecay: number;

  constructor(parameters: readonly Tensor[], options: RMSPropOptions = {}) {
    const op = 'RMSProp';
    super({ name: op, options: ['alpha', 'momentum', 'eps'], arrays: 2, lr: 0.01 }, parameters, options);
    this.#alpha = readNumber(op, 'alpha', options.alpha ?? 0.99, 0, 1);
    this.#momentum = readNumber(op, 'momentum', options.momentum ?? 0, 0, 1);
    this.#eps = readPositive(op, 'eps', options.eps ?? 1e-8);
    this.#weightDecay = readNumber(op, 'weightDecay', options.weightDecay ?? 0);
  }

  protected override update(p: TypedArray, grad: TypedArray, { arrays: [meanSquare, buffer] }: Memory): void {
    for (let i = 0; i < p.length; i++) {
      const g = grad[i] + this.#weightDecay * p[i];
      const v = this.#alpha * meanSquare[i] + (1 - this.#alpha) * g * g;
      const b = this.#momentum * buffer[i] + g / (Math.sqrt(v) + this.#eps);
      meanSquare[i] = v;
      buffer[i] = b;
      p[i] -= this.lr * b;
    }
  }
}
