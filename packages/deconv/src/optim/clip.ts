/** clip: gradients made smaller before a step, so that a single bad batch cannot throw the parameters far off. */
import { collectedBy, noGrad, recollect } from '../autograd.js';
import { checkOptions, refuse, show } from '../errors.js';
import { abs, clamp, mul, pow, square } from '../ops/elementwise.js';
import { max, sum } from '../ops/reduce.js';
import { scoped, Tensor } from '../tensor.js';

/** Options of {@link clipGradNorm}. */
export interface ClipGradNormOptions {
  /** p of the norm (Σ|g|ᵖ)^(1/p), > 0; Infinity for the largest |g|. Default 2. */
  readonly normType?: number | undefined;
}

/** The parameters that have a gradient, with it. */
function withGradient(op: string, parameters: unknown): (readonly [parameter: Tensor, grad: Tensor])[] {
  const list: unknown = parameters instanceof Tensor ? [parameters] : parameters;
  if (!Array.isArray(list))
    refuse(op, 'parameters', `parameters must be a tensor or an array of tensors, got ${show(parameters)}`);
  return list.flatMap((parameter: unknown, i) => {
    if (!(parameter instanceof Tensor))
      refuse(op, 'parameters', `parameters[${i}] must be a tensor, got ${show(parameter)}`);
    const grad = collectedBy(parameter);
    return grad === null ? [] : [[parameter, grad] as const];
  });
}

/** Multiplies the gradients of the parameters by a number. */
export function scaleGradients(parameters: readonly Tensor[], factor: number): void {
  noGrad(() => {
    for (const [parameter, grad] of withGradient('scaleGradients', parameters))
      recollect(parameter, mul(grad, factor));
  });
}

function limit(op: string, name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0) return value;
  return refuse(op, name, `${name} must be a number ≥ 0, got ${show(value)}`);
}

/** The norm of all gradients together, taken as one long vector; 0 where there is none. */
function normOf(gradients: readonly Tensor[], p: number): number {
  const values = gradients.filter(({ size }) => size > 0);
  if (p === Infinity) return values.reduce((most, g) => Math.max(most, max(abs(g)).item()), 0);
  const powers = values.map((g) => sum(p === 2 ? square(g) : pow(abs(g), p)).item());
  return powers.reduce((total, power) => total + power, 0) ** (1 / p);
}

/**
 * Scales all gradients by one factor so that their norm, taken over all of them together, is at most `maxNorm` (Pascanu,
 * Mikolov & Bengio 2013, arXiv:1211.5063):
 *
 *     g ← g · min(1, maxNorm / (norm + 10⁻⁶))
 *
 * Call it between `backward` and `step`. Parameters without a gradient are skipped. A norm that is not finite makes the
 * gradients NaN, as in PyTorch.
 *
 * @param parameters a tensor or an array of them
 * @param maxNorm ≥ 0
 * @param options `{ normType = 2 }`
 * @returns the norm before
 * @example
 * ```ts
 * import { sum, square, tensor } from 'deconv';
 * import { clipGradNorm } from 'deconv/optim';
 * const x = tensor([3, 4], { requiresGrad: true });
 * sum(square(x)).backward();
 * console.log(clipGradNorm([x], 1)); // 10
 * console.log(x.grad?.toArray()); // [ 0.59…, 0.79… ]
 * ```
 */
export function clipGradNorm(
  parameters: Tensor | readonly Tensor[],
  maxNorm: number,
  options: ClipGradNormOptions = {},
): number {
  const op = 'clipGradNorm';
  checkOptions(op, options, ['normType']);
  const most = limit(op, 'maxNorm', maxNorm);
  const { normType = 2 } = options;
  if (typeof normType !== 'number' || !(normType > 0))
    refuse(op, 'normType', `normType must be a number > 0 or Infinity, got ${show(normType)}`);
  const clipped = withGradient(op, parameters);
  return noGrad(() => {
    const gradients = clipped.map(([, grad]) => grad);
    const norm = scoped(() => normOf(gradients, normType));
    const factor = most / (norm + 1e-6);
    // Not below 1 is: at least 1, where nothing is to be done, or NaN, which must show.
    if (!(factor >= 1)) for (const [parameter, grad] of clipped) recollect(parameter, mul(grad, factor));
    return norm;
  });
}

/**
 * Holds every gradient to [−limit, limit], value by value; NaN stays. Call it between `backward` and `step`.
 *
 * @param parameters a tensor or an array of them
 * @param maxValue ≥ 0
 * @example
 * ```ts
 * import { sum, square, tensor } from 'deconv';
 * import { clipGradValue } from 'deconv/optim';
 * const x = tensor([0.25, -4], { requiresGrad: true });
 * sum(square(x)).backward();
 * clipGradValue([x], 1);
 * console.log(x.grad?.toArray()); // [ 0.5, -1 ]
 * ```
 */
export function clipGradValue(parameters: Tensor | readonly Tensor[], maxValue: number): void {
  const op = 'clipGradValue';
  const most = limit(op, 'maxValue', maxValue);
  const clipped = withGradient(op, parameters);
  noGrad(() => {
    for (const [parameter, grad] of clipped) recollect(parameter, clamp(grad, { min: -most, max: most }));
  });
}
