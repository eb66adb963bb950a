/** adagrad: gradients divided by the root of the sum of all their squares so far. */
import type { Tensor, TypedArray } from '../tensor.js';
import { type Memory, Optimizer, type OptimizerOptions, readNumber, readPositive } from './optimizer.js';

/** Options of {@link Adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** Added to the denominator, after the root. Default 1e-10. */
  readonly eps?: number | undefined;
}

/**
 * Adagrad (Duchi, Hazan & Singer 2011). With g the gradient plus weightDecay·p:
 *
 *     s ← s + g²;  p ← p − lr · g / (√s + eps)
 *
 * @param options `{ lr = 0.01, eps = 1e-10, weightDecay = 0 }`
 * @example
 * ```ts
 * import { square, sum, tensor } from 'deconv';
 * import { Adagrad } from 'deconv/optim';
 * const x = tensor([4], { requiresGrad: true, dtype: 'float64' });
 * sum(square(x)).backward();
 * new Adagrad([x], { lr: 0.5 }).step(); // the first step is lr long
 * console.log(x.item().toFixed(4)); // 3.5000
 * ```
 */
export class Adagrad extends Optimizer {
  readonly #eps: number;
  readonly #weightDecay: number;

  constructor(parameters: readonly Tensor[], options: AdagradOptions = {}) {
    super({ name: 'Adagrad', options: ['eps'], arrays: 1, lr: 0.01 }, parameters, options);
    this.#eps = readPositive('Adagrad', 'eps', options.eps ?? 1e-10);
    this.#weightDecay = readNumber('Adagrad', 'weightDecay', options.weightDecay ?? 0);
  }

  protected override update(p: TypedArray, grad: TypedArray, { arrays: [total] }: Memory): void {
    for (let i = 0; i < p.length; i++) {
      const g = grad[i] + this.#weightDecay * p[i];
      const s = total[i] + g * g;
      total[i] = s;
      p[i] -= (this.lr * g) / (Math.sqrt(s) + this.#eps);
    }
  }
}
