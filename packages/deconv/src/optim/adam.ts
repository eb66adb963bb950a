/** adam: steps scaled by running means of the gradient and of its square; with decay inside (Adam) or beside (AdamW). */
import { refuse, show } from '../errors.js';
import { adam } from '../updates.js';
import { type OptimizerOptions, type Parameters, readNumber, readPositive, type Update } from './groups.js';
import { Optimizer } from './optimizer.js';

const OPTIONS = ['betas', 'eps'];

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions extends OptimizerOptions {
  /** Memory of the mean gradient and of the mean square, each in [0, 1). Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number] | undefined;
  /** Added to the denominator. Default 1e-8. */
  readonly eps?: number | undefined;
}

/** What both share; `decoupled` says where the weight decay goes. */
const update =
  (decay: number, decoupled: boolean) =>
  (op: string, options: Partial<AdamOptions>): Update => {
    const { betas = [0.9, 0.999] } = options;
    if (!Array.isArray(betas) || betas.length !== 2)
      refuse(op, 'betas', `betas must be two numbers in [0, 1), got ${show(betas)}`);
    const [b1, b2] = betas.map((beta: unknown) => readNumber(op, 'betas', beta, 0, 1));
    const eps = readPositive(op, 'eps', options.eps ?? 1e-8);
    const weightDecay = readNumber(op, 'weightDecay', options.weightDecay ?? decay);
    return {
      rule: adam,
      memories: ['mean', 'meanSquare'],
      // Both means start at 0; dividing by 1 − βᵗ takes that bias out.
      numbers: (lr, step) => [
        lr / (1 - b1 ** step),
        decoupled ? 0 : weightDecay,
        decoupled ? 1 - lr * weightDecay : 1,
        b1,
        1 - b1,
        b2,
        1 - b2,
        1 / Math.sqrt(1 - b2 ** step),
        eps,
      ],
    };
  };

/**
 * Adam (Kingma & Ba 2014, arXiv:1412.6980). With g the gradient plus weightDecay·p, t the number of the step:
 *
 *     m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + eps)
 *
 * @param parameters tensors, or groups `{ parameters, lr?, betas? … }`
 * @param options `{ lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 }`
 * @example
 * ```ts
 * import { square, sum, tensor } from 'deconv';
 * import { Adam } from 'deconv/optim';
 * const x = tensor([4], { requiresGrad: true });
 * const optimizer = new Adam([x], { lr: 0.1 });
 * sum(square(x)).backward();
 * optimizer.step(); // the first step is lr long, whatever the gradient
 * console.log(x.item().toFixed(4)); // 3.9000
 * ```
 */
export class Adam extends Optimizer {
  constructor(parameters: Parameters<AdamOptions>, options: AdamOptions = {}) {
    super({ name: 'Adam', options: OPTIONS, lr: 1e-3, update: update(0, false) }, parameters, options);
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2017, arXiv:1711.05101): the value is first multiplied by
 * 1 − lr·weightDecay, and the decay stays out of m and v.
 *
 * @param parameters tensors, or groups `{ parameters, lr?, betas? … }`
 * @param options `{ lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 }`
 */
export class AdamW extends Optimizer {
  constructor(parameters: Parameters<AdamOptions>, options: AdamOptions = {}) {
    super({ name: 'AdamW', options: OPTIONS, lr: 1e-3, update: update(0.01, true) }, parameters, options);
  }
}
