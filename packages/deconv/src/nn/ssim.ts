/**
 * ssim: the structural similarity of pictures (Wang, Bovik, Sheikh & Simoncelli 2004). Local means, variances and
 * covariance under a Gaussian window, at every place where the window lies inside the picture:
 *
 *     SSIM = (2μₓμₜ + c₁)(2σₓₜ + c₂) / ((μₓ² + μₜ² + c₁)(σₓ² + σₜ² + c₂)),  cᵢ = (kᵢ·dataRange)²
 *
 * The window is a product of two lines, so it is applied axis by axis, each a banded matrix. Gradients follow from the
 * operations. Refuses pictures smaller than the window.
 */
import type { AxisMap } from '../backend.js';
import { checkOptions, refuse } from '../errors.js';
import { add, div, mul, square, sub } from '../ops/elementwise.js';
import { mapAxis } from '../ops/layout.js';
import { showShape } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { type LossOptions, operands, reduced } from './losses.js';
import { readCount, readNumber } from './options.js';

/** Options of {@link ssim} and {@link ssimLoss}. */
export interface SsimOptions extends LossOptions {
  /** Largest value minus smallest that a picture can have: 1 for [0, 1], 2 for [−1, 1], 255 for bytes. Default 1. */
  readonly dataRange?: number | undefined;
  /** Length of the window's sides, odd. Default 11. */
  readonly windowSize?: number | undefined;
  /** Standard deviation of the window. Default 1.5. */
  readonly sigma?: number | undefined;
}

const [K1, K2] = [0.01, 0.03];

/** A Gaussian window sliding along an axis of n: out[o] = Σ w[t]·in[o + t], Σw = 1. */
function gaussianMap(n: number, taps: number, sigma: number): AxisMap {
  const line = Float64Array.from({ length: taps }, (_, t) =>
    Math.exp(-(((t - (taps - 1) / 2) / sigma) ** 2) / 2),
  );
  const total = line.reduce((a, b) => a + b, 0);
  const outLength = n - taps + 1;
  const index = Int32Array.from({ length: outLength * taps }, (_, i) => Math.floor(i / taps) + (i % taps));
  const weight = Float64Array.from({ length: outLength * taps }, (_, i) => line[i % taps] / total);
  return { inLength: n, outLength, taps, index, weight };
}

function similarity(op: string, input: Tensor, target: Tensor, options: SsimOptions): Tensor {
  checkOptions(op, options, ['reduction', 'dataRange', 'windowSize', 'sigma']);
  const [x, t] = operands(op, input, target);
  const taps = readCount(op, 'windowSize', options.windowSize ?? 11);
  if (taps % 2 === 0) refuse(op, 'windowSize', `windowSize must be odd, got ${taps}`);
  const range = readNumber(op, 'dataRange', options.dataRange ?? 1, 0);
  const sigma = readNumber(op, 'sigma', options.sigma ?? 1.5, 0);
  if (range === 0 || sigma === 0)
    refuse(op, range === 0 ? 'dataRange' : 'sigma', 'dataRange and sigma must be > 0');
  if (x.rank !== 4 || x.shape[2] < taps || x.shape[3] < taps) {
    refuse(
      op,
      'input',
      `input must be (N, C, H, W) with H and W ≥ windowSize ${taps}, got ${showShape(x.shape)}`,
    );
  }
  const [rows, columns] = [x.shape[2], x.shape[3]].map((n) => gaussianMap(n, taps, sigma));
  const blur = (y: Tensor) => mapAxis(op, mapAxis(op, y, 2, rows), 3, columns);
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
  const [mx, mt] = [blur(x), blur(t)];
  const [mxx, mtt, mxt] = [square(mx), square(mt), mul(mx, mt)];
  const covariance = sub(blur(mul(x, t)), mxt);
  const variances = sub(blur(add(square(x), square(t))), add(mxx, mtt));
  const structure = mul(add(mul(mxt, 2), c1), add(mul(covariance, 2), c2));
  return div(structure, mul(add(add(mxx, mtt), c1), add(variances, c2)));
}

/**
 * How alike two batches of pictures are: 1 for equal ones, near 0 for unrelated ones. See {@link ssimLoss}.
 *
 * @param input (N, C, H, W)
 * @param target same shape
 * @param options `{ dataRange = 1, windowSize = 11, sigma = 1.5, reduction = 'mean' }`
 * @returns one number; (N, C, H − windowSize + 1, W − windowSize + 1) for reduction `'none'`
 */
export function ssim(input: Tensor, target: Tensor, options: SsimOptions = {}): Tensor {
  return scoped(() => reduced('ssim', similarity('ssim', input, target, options), options));
}

/**
 * 1 − {@link ssim}: what to minimise for pictures that look alike, 0 for equal ones.
 *
 * @param input (N, C, H, W), both spatial axes ≥ windowSize
 * @param target same shape
 * @param options `{ dataRange = 1, windowSize = 11, sigma = 1.5, reduction = 'mean' }`
 * @throws DeconvError for pictures smaller than the window, different shapes, unknown options
 * @example
 * ```ts
 * import { mul, rand } from 'deconv';
 * import { ssimLoss } from 'deconv/nn';
 * const x = rand([1, 3, 32, 32]);
 * console.log(ssimLoss(x, x).item() < 1e-6, ssimLoss(mul(x, 0.5), x).item() > 0.1); // true true
 * ```
 */
export function ssimLoss(input: Tensor, target: Tensor, options: SsimOptions = {}): Tensor {
  return scoped(() => reduced('ssimLoss', sub(1, similarity('ssimLoss', input, target, options)), options));
}
