/** adam: steps scaled by running means of the gradient and of its square; with decay inside (Adam) or beside (AdamW). */
import { refuse, show } from '../errors.js';
import type { Tensor, TypedArray } from '../tensor.js';
import { type Memory, Optimizer, type OptimizerOptions, readNumber, readPositive } from './optimizer.js';

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions extends OptimizerOptions {
  /** Memory of the mean gradient and of the mean square, each in [0, 1). Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number] | undefined;
  /** Added to the denominator. Default 1e-8. */
  readonly eps?: number | undefined;
}

/** The arithmetic that both share; `decoupled` says where the weight decay goes. */
abstract class AdamRule extends Optimizer {
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  readonly #weightDecay: number;
  readonly #decoupled: boolean;

  protected constructor(
    name: string,
    parameters: readonly Tensor[],
    options: AdamOptions,
    weightDecay: number,
    decoupled: boolean,
  ) {
    super({ name, options: ['betas', 'eps'], arrays: 2, lr: 1e-3 }, parameters, options);
    const { betas = [0.9, 0.999], eps = 1e-8 } = options;
    if (!Array.isArray(betas) || betas.length !== 2)
      refuse(name, 'betas', `betas must be two numbers in [0, 1), got ${show(betas)}`);
    this.#betas = [readNumber(name, 'betas', betas[0], 0, 1), readNumber(name, 'betas', betas[1], 0, 1)];
    this.#eps = readPositive(name, 'eps', eps);
    this.#weightDecay = readNumber(name, 'weightDecay', options.weightDecay ?? weightDecay);
    this.#decoupled = decoupled;
  }

  protected override update(p: TypedArray, grad: TypedArray, { step, arrays }: Memory): void {
    const [mean, meanSquare] = arrays;
    const [b1, b2] = this.#betas;
    const decay = this.#weightDecay;
    // Both means start at 0; dividing by 1 − βᵗ takes that bias out.
    const size = this.lr / (1 - b1 ** step);
    const unbias = Math.sqrt(1 - b2 ** step);
    for (let i = 0; i < p.length; i++) {
      const g = this.#decoupled ? grad[i] : grad[i] + decay * p[i];
      const kept = this.#decoupled ? p[i] * (1 - this.lr * decay) : p[i];
      const m = b1 * mean[i] + (1 - b1) * g;
      const v = b2 * meanSquare[i] + (1 - b2) * g * g;
      mean[i] = m;
      meanSquare[i] = v;
      p[i] = kept - (size * m) / (Math.sqrt(v) / unbias + this.#eps);
    }
  }
}

/**
 * Adam (Kingma & Ba 2014, arXiv:1412.6980). With g the gradient plus weightDecay·p, t the number of the step:
 *
 *     m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + eps)
 *
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
export class Adam extends AdamRule {
  constructor(parameters: readonly Tensor[], options: AdamOptions = {}) {
    super('Adam', parameters, options, 0, false);
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2017, arXiv:1711.05101): the value is first multiplied by
 * 1 − lr·weightDecay, and the decay stays out of m and v.
 *
 * @param options `{ lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 }`
 */
export class AdamW extends AdamRule {
  constructor(parameters: readonly Tensor[], options: AdamOptions = {}) {
    super('AdamW', parameters, options, 0.01, true);
  }
}
