/** sgd: gradient descent, with momentum if wanted. */
import { refuse, show } from '../errors.js';
import type { Tensor, TypedArray } from '../tensor.js';
import { type Memory, Optimizer, type OptimizerOptions, readNumber } from './optimizer.js';

/** Options of {@link SGD}. `lr` is required. */
export interface SGDOptions extends OptimizerOptions {
  readonly lr: number;
  /** Share of the previous step that goes on, in [0, 1). Default 0. */
  readonly momentum?: number | undefined;
  /** Look ahead along the momentum (Nesterov 1983). Default false. */
  readonly nesterov?: boolean | undefined;
}

/**
 * Gradient descent. With g the gradient plus weightDecay·p, and v zero at first:
 *
 *     v ← momentum·v + g;  p ← p − lr·v,  or with nesterov  p ← p − lr·(g + momentum·v)
 *
 * the lr outside the velocity, as PyTorch has it (Sutskever et al. 2013 have it inside).
 *
 * @throws DeconvError for nesterov without momentum, and what {@link Optimizer} refuses
 * @example
 * ```ts
 * import { square, sum, tensor } from 'deconv';
 * import { SGD } from 'deconv/optim';
 * const x = tensor([4, -2], { requiresGrad: true });
 * const optimizer = new SGD([x], { lr: 0.25 });
 * for (let step = 0; step < 3; step++) {
 *   optimizer.zeroGrad();
 *   sum(square(x)).backward();
 *   optimizer.step();
 * }
 * console.log(x.toArray()); // [ 0.5, -0.25 ]
 * ```
 */
export class SGD extends Optimizer {
  readonly #momentum: number;
  readonly #weightDecay: number;
  readonly #nesterov: boolean;

  constructor(parameters: readonly Tensor[], options: SGDOptions) {
    super({ name: 'SGD', options: ['momentum', 'nesterov'], arrays: 1 }, parameters, options);
    const { momentum = 0, weightDecay = 0, nesterov = false } = options;
    this.#momentum = readNumber('SGD', 'momentum', momentum, 0, 1);
    this.#weightDecay = readNumber('SGD', 'weightDecay', weightDecay);
    if (typeof nesterov !== 'boolean')
      refuse('SGD', 'nesterov', `nesterov must be true or false, got ${show(nesterov)}`);
    if (nesterov && momentum === 0)
      refuse('SGD', 'nesterov', 'nesterov looks ahead along the momentum, which is 0');
    this.#nesterov = nesterov;
  }

  protected override update(p: TypedArray, grad: TypedArray, { arrays: [velocity] }: Memory): void {
    const momentum = this.#momentum;
    for (let i = 0; i < p.length; i++) {
      const g = grad[i] + this.#weightDecay * p[i];
      if (momentum === 0) {
        p[i] -= this.lr * g;
        continue;
      }
      const v = momentum * velocity[i] + g;
      velocity[i] = v;
      p[i] -= this.lr * (this.#nesterov ? g + momentum * v : v);
    }
  }
}
