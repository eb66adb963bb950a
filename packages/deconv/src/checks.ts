/**
 * checks: how to know that a gradient is right. `gradcheck` holds it against central differences, `adjointCheck` holds
 * a linear map against its transpose. Both are for float64 and for users' own layers as much as for ours.
 */
import { grad, noGrad } from './autograd.js';
import { checkOptions, refuse, show } from './errors.js';
import { randn } from './ops/create.js';
import { fromValues } from './ops/input.js';
import { type Shape, sameShape, showShape } from './shape.js';
import { convert, Tensor } from './tensor.js';

/** Options of {@link gradcheck}. */
export interface GradcheckOptions {
  /** Step h of the central difference (f(x+h) − f(x−h)) / 2h. Default 1e-5. */
  readonly step?: number | undefined;
  /** Largest allowed |analytic − numeric|, relative to the largest numeric gradient or 1. Default 1e-6. */
  readonly tolerance?: number | undefined;
  /** Seed of the random direction. Default 0. */
  readonly seed?: number | undefined;
}

/** What {@link gradcheck} found. */
export interface GradcheckReport {
  readonly ok: boolean;
  /** The largest scaled difference. */
  readonly error: number;
  /** Where it was: the input's number, the element's flat position, and both gradients there. */
  readonly worst: {
    readonly input: number;
    readonly element: number;
    readonly analytic: number;
    readonly numeric: number;
  };
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
};

/**
 * Compares the gradients of f with central differences, element by element, along a random direction v: d⟨f(x), v⟩/dx.
 * Costs two runs of f per input element. f may itself call `grad` with createGraph, which checks gradients of gradients.
 *
 * @param f a function of tensors to one tensor
 * @param inputs float64 tensors at which to differentiate; all are treated as needing a gradient
 * @throws DeconvError when an input is not float64: float32 differences are noise
 * @example
 * ```ts
 * import { gradcheck, randn, sigmoid } from 'deconv';
 * console.log(gradcheck(sigmoid, [randn([2, 3], { dtype: 'float64' })]).ok); // true
 * ```
 */
export function gradcheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): GradcheckReport {
  const op = 'gradcheck';
  checkOptions(op, options, ['step', 'tolerance', 'seed']);
  const { step = 1e-5, tolerance = 1e-6, seed = 0 } = options;
  for (const [i, input] of inputs.entries()) {
    if (!(input instanceof Tensor) || input.dtype !== 'float64') {
      refuse(
        op,
        'inputs',
        `inputs[${i}] must be a float64 tensor, got ${input instanceof Tensor ? input.dtype : show(input)}`,
      );
    }
  }
  const leaves = inputs.map((input) => {
    const leaf = fromValues(convert('float64', input.data), input.shape);
    leaf.requiresGrad = true;
    return leaf;
  });
  const output = f(...leaves);
  const direction = randn(output.shape, { dtype: 'float64', seed });
  const analytic = grad(output, leaves, { gradOutput: direction });
  let worst = { input: 0, element: 0, analytic: 0, numeric: 0 };
  let error = 0;
  const value = (...at: Tensor[]): number => dot(f(...at).data, direction.data);
  for (const [which, leaf] of leaves.entries()) {
    const shifted = (element: number, shift: number): number => {
      const values = Float64Array.from(leaf.data);
      values[element] += shift;
      const moved = fromValues(values, leaf.shape);
      moved.requiresGrad = true;
      return value(...leaves.map((other, i) => (i === which ? moved : other)));
    };
    const numeric = Float64Array.from(
      leaf.data,
      (_, i) => (shifted(i, step) - shifted(i, -step)) / (2 * step),
    );
    const scale = numeric.reduce((largest, slope) => Math.max(largest, Math.abs(slope)), 1);
    for (const [element, slope] of analytic[which].data.entries()) {
      const difference = Math.abs(slope - numeric[element]) / scale;
      // A NaN difference must count as the worst and remain it, not slip through the comparison.
      if (!(difference <= error) && !Number.isNaN(error)) {
        error = difference;
        worst = { input: which, element, analytic: slope, numeric: numeric[element] };
      }
    }
  }
  return { ok: error <= tolerance, error, worst };
}

/** What {@link adjointCheck} found. */
export interface AdjointReport {
  readonly ok: boolean;
  /** |⟨f(x), y⟩ − ⟨x, fᵀ(y)⟩| / (‖f(x)‖‖y‖ + ‖x‖‖fᵀ(y)‖) */
  readonly error: number;
  /** ⟨f(x), y⟩ */
  readonly forward: number;
  /** ⟨x, fᵀ(y)⟩ */
  readonly backward: number;
}

/**
 * Tests on random x and y whether `adjoint` is the transpose of the linear map `forward`: ⟨f(x), y⟩ = ⟨x, fᵀ(y)⟩.
 *
 * @param forward linear map
 * @param adjoint its alleged transpose
 * @param inputShape shape of x
 * @param options `{ tolerance = 1e-12, seed = 0 }`
 * @example
 * ```ts
 * import { adjointCheck, conv2d, convTranspose2d, randn } from 'deconv';
 * const w = randn([4, 3, 3, 3], { dtype: 'float64' });
 * const report = adjointCheck(
 *   (x) => conv2d(x, w, { stride: 2 }),
 *   (y) => convTranspose2d(y, w, { stride: 2 }),
 *   [1, 3, 9, 9],
 * );
 * console.log(report.ok); // true
 * ```
 */
export function adjointCheck(
  forward: (x: Tensor) => Tensor,
  adjoint: (y: Tensor) => Tensor,
  inputShape: Shape,
  options: { readonly tolerance?: number | undefined; readonly seed?: number | undefined } = {},
): AdjointReport {
  const op = 'adjointCheck';
  checkOptions(op, options, ['tolerance', 'seed']);
  const { tolerance = 1e-12, seed = 0 } = options;
  return noGrad(() => {
    const x = randn(inputShape, { dtype: 'float64', seed: 2 * seed });
    const fx = forward(x);
    const y = randn(fx.shape, { dtype: 'float64', seed: 2 * seed + 1 });
    const fy = adjoint(y);
    if (!sameShape(fy.shape, x.shape)) {
      refuse(
        op,
        'adjoint',
        `adjoint gives shape ${showShape(fy.shape)}, must give that of x, ${showShape(x.shape)}`,
      );
    }
    const [left, right] = [dot(fx.data, y.data), dot(x.data, fy.data)];
    const norm = (t: Tensor) => Math.sqrt(dot(t.data, t.data));
    const scale = norm(fx) * norm(y) + norm(x) * norm(fy);
    const error = scale === 0 ? Math.abs(left - right) : Math.abs(left - right) / scale;
    return { ok: error <= tolerance, error, forward: left, backward: right };
  });
}
