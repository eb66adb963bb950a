/** sgd: gradient descent, with momentum if wanted. */
import { refuse, show } from '../errors.js';
import { sgd, sgdMomentum, sgdNesterov } from '../updates.js';
import { type OptimizerOptions, type Parameters, readNumber, type Update } from './groups.js';
import { Optimizer } from './optimizer.js';

/** Options of {@link SGD}. `lr` is required. */
export interface SGDOptions extends OptimizerOptions {
  readonly lr: number;
  /** Share of the previous step that goes on, in [0, 1). Default 0. */
  readonly momentum?: number | undefined;
  /** Look ahead along the momentum (Nesterov 1983). Default false. */
  readonly nesterov?: boolean | undefined;
}

function update(op: string, options: Omit<SGDOptions, 'lr'>): Update {
  const momentum = readNumber(op, 'momentum', options.momentum ?? 0, 0, 1);
  const weightDecay = readNumber(op, 'weightDecay', options.weightDecay ?? 0);
  const { nesterov = false } = options;
  if (typeof nesterov !== 'boolean')
    refuse(op, 'nesterov', `nesterov must be true or false, got ${show(nesterov)}`);
  if (nesterov && momentum === 0)
    refuse(op, 'nesterov', 'nesterov looks ahead along the momentum, which is 0');
  return {
    rule: momentum === 0 ? sgd : nesterov ? sgdNesterov : sgdMomentum,
    memories: momentum === 0 ? [] : ['velocity'],
    numbers: (lr) => (momentum === 0 ? [lr, weightDecay] : [lr, weightDecay, momentum]),
  };
}

/**
 * Gradient descent. With g the gradient plus weightDecay·p, and v zero at first:
 *
 *     v ← momentum·v + g;  p ← p − lr·v,  or with nesterov  p ← p − lr·(g + momentum·v)
 *
 * the lr outside the velocity, as PyTorch has it (Sutskever et al. 2013 have it inside).
 *
 * @param parameters tensors, or groups `{ parameters, lr?, momentum? … }`
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
  constructor(parameters: Parameters<SGDOptions>, options: SGDOptions) {
    super({ name: 'SGD', options: ['momentum', 'nesterov'], update }, parameters, options);
  }
}
