/** rmsprop: gradients divided by a running root mean square. */
import { rmsprop, rmspropMomentum } from '../updates.js';
import { type OptimizerOptions, type Parameters, readNumber, readPositive, type Update } from './groups.js';
import { Optimizer } from './optimizer.js';

/** Options of {@link RMSProp}. */
export interface RMSPropOptions extends OptimizerOptions {
  /** Memory of the mean square, in [0, 1). Default 0.99. */
  readonly alpha?: number | undefined;
  /** Share of the previous step that goes on, in [0, 1). Default 0. */
  readonly momentum?: number | undefined;
  /** Added to the denominator, after the root. Default 1e-8. */
  readonly eps?: number | undefined;
}

function update(op: string, options: Partial<RMSPropOptions>): Update {
  const alpha = readNumber(op, 'alpha', options.alpha ?? 0.99, 0, 1);
  const momentum = readNumber(op, 'momentum', options.momentum ?? 0, 0, 1);
  const eps = readPositive(op, 'eps', options.eps ?? 1e-8);
  const weightDecay = readNumber(op, 'weightDecay', options.weightDecay ?? 0);
  return {
    rule: momentum === 0 ? rmsprop : rmspropMomentum,
    memories: momentum === 0 ? ['meanSquare'] : ['meanSquare', 'buffer'],
    numbers: (lr) => {
      const numbers = [lr, weightDecay, alpha, 1 - alpha, eps];
      return momentum === 0 ? numbers : [...numbers, momentum];
    },
  };
}

/**
 * RMSProp (Tieleman & Hinton 2012, lecture 6.5). With g the gradient plus weightDecay·p:
 *
 *     v ← αv + (1 − α)g²;  b ← momentum·b + g / (√v + eps);  p ← p − lr·b
 *
 * @param parameters tensors, or groups `{ parameters, lr?, alpha? … }`
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
  constructor(parameters: Parameters<RMSPropOptions>, options: RMSPropOptions = {}) {
    super({ name: 'RMSProp', options: ['alpha', 'momentum', 'eps'], lr: 0.01, update }, parameters, options);
  }
}
