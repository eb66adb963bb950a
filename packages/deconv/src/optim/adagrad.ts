/** adagrad: gradients divided by the root of the sum of all their squares so far. */
import { adagrad } from '../updates.js';
import { type OptimizerOptions, type Parameters, readNumber, readPositive, type Update } from './groups.js';
import { Optimizer } from './optimizer.js';

/** Options of {@link Adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** Added to the denominator, after the root. Default 1e-10. */
  readonly eps?: number | undefined;
}

function update(op: string, options: Partial<AdagradOptions>): Update {
  const eps = readPositive(op, 'eps', options.eps ?? 1e-10);
  const weightDecay = readNumber(op, 'weightDecay', options.weightDecay ?? 0);
  return { rule: adagrad, memories: ['total'], numbers: (lr) => [lr, weightDecay, eps] };
}

/**
 * Adagrad (Duchi, Hazan & Singer 2011). With g the gradient plus weightDecay·p:
 *
 *     s ← s + g²;  p ← p − lr · g / (√s + eps)
 *
 * @param parameters tensors, or groups `{ parameters, lr?, eps? … }`
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
  constructor(parameters: Parameters<AdagradOptions>, options: AdagradOptions = {}) {
    super({ name: 'Adagrad', options: ['eps'], lr: 0.01, update }, parameters, options);
  }
}
