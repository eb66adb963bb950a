/**
 * losses: one number that says how far a result is from what was wanted. Each is composed of recorded operations, in
 * the form of its formula that neither overflows nor cancels, so gradients and gradients of gradients follow.
 *
 * All refuse operands of different shapes or number types: a target that broadcasts is nearly always a mistake.
 */
import { noGrad, record } from '../autograd.js';
import { checkName, checkOptions, refuse, show } from '../errors.js';
import {
  abs,
  add,
  clamp,
  div,
  equal,
  log,
  maximum,
  mul,
  neg,
  softplus,
  square,
  sub,
  where,
} from '../ops/elementwise.js';
import { asFloat, asTensor, sameType } from '../ops/input.js';
import { reshape, take } from '../ops/layout.js';
import { mean, sum } from '../ops/reduce.js';
import { logSoftmax } from '../ops/softmax.js';
import { sameShape, showShape, sizeOf } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';

/** What all losses take. */
export interface LossOptions {
  /** `'mean'` over all values, `'sum'` of them, or `'none'`: each by itself. Default `'mean'`. */
  readonly reduction?: 'mean' | 'sum' | 'none' | undefined;
}

const REDUCTIONS = ['mean', 'sum', 'none'] as const;

export function reduced(
  op: string,
  values: Tensor,
  options: LossOptions,
  known: readonly string[] = REDUCTIONS,
): Tensor {
  const reduction = options.reduction ?? 'mean';
  checkName(op, 'reduction', reduction, known);
  if (reduction === 'none') return values;
  return reduction === 'sum' ? sum(values) : mean(values);
}

/** Input and target as floating-point tensors of one shape and type. */
export function operands(op: string, input: Tensor, target: Tensor): [Tensor, Tensor] {
  const [x, t] = [asFloat(op, 'input', input), asFloat(op, 'target', target)];
  sameType(op, { input: x, target: t });
  if (!sameShape(x.shape, t.shape)) {
    refuse(
      op,
      'target',
      `target ${showShape(t.shape)} must have the shape of the input ${showShape(x.shape)}`,
    );
  }
  return [x, t];
}

/**
 * Squared error: (x − t)².
 *
 * @param input any shape
 * @param target same shape
 * @param options `{ reduction = 'mean' }`
 * @returns one number, rank 0; the shape of the input for reduction `'none'`
 * @throws DeconvError for different shapes or number types, unknown options
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { mseLoss } from 'deconv/nn';
 * console.log(mseLoss(tensor([1, 2]), tensor([1, 4])).item()); // 2
 * ```
 */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const op = 'mseLoss';
  checkOptions(op, options, ['reduction']);
  const [x, t] = operands(op, input, target);
  return scoped(() => reduced(op, square(sub(x, t)), options));
}

/**
 * Absolute error: |x − t|; derivative 0 where they agree.
 *
 * @param input any shape
 * @param target same shape
 * @param options `{ reduction = 'mean' }`
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { l1Loss } from 'deconv/nn';
 * console.log(l1Loss(tensor([1, 2]), tensor([1, 4]), { reduction: 'sum' }).item()); // 2
 * ```
 */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const op = 'l1Loss';
  checkOptions(op, options, ['reduction']);
  const [x, t] = operands(op, input, target);
  return scoped(() => reduced(op, abs(sub(x, t)), options));
}

/** Options of {@link smoothL1Loss}. */
export interface SmoothL1Options extends LossOptions {
  /** Errors below this count by their square, those above by their size. ≥ 0; 0 is {@link l1Loss}. Default 1. */
  readonly beta?: number | undefined;
}

/**
 * Squared error for small differences, absolute error for large ones (Girshick 2015, arXiv:1504.08083, with beta):
 *
 *     d²/2β  for |d| < β,  |d| − β/2  beyond;  d = x − t
 *
 * @param input any shape
 * @param target same shape
 * @param options `{ beta = 1, reduction = 'mean' }`
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { smoothL1Loss } from 'deconv/nn';
 * console.log(smoothL1Loss(tensor([0, 0]), tensor([1, 3]), { reduction: 'none' }).toArray()); // [ 0.5, 2.5 ]
 * ```
 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  const op = 'smoothL1Loss';
  checkOptions(op, options, ['reduction', 'beta']);
  const { beta = 1 } = options;
  if (!(Number.isFinite(beta) && beta >= 0))
    refuse(op, 'beta', `beta must be a number ≥ 0, got ${show(beta)}`);
  const [x, t] = operands(op, input, target);
  return scoped(() => {
    const d = sub(x, t);
    if (beta === 0) return reduced(op, abs(d), options);
    // With m = d held within ±β, both branches are m·(d − m/2)/β.
    const m = clamp(d, { min: -beta, max: beta });
    return reduced(op, mul(div(m, beta), sub(d, mul(m, 0.5))), options);
  });
}

/** As PyTorch bounds them: a logarithm of a probability is never below this. */
const LEAST_LOG = -100;

/** The least p(1 − p) that a gradient is divided by. */
const LEAST_VARIANCE = 1e-12;

/**
 * Binary cross-entropy of probabilities: −t·ln p − (1 − t)·ln(1 − p), each logarithm at least −100. Gradient:
 * (p − t) / max(p(1 − p), 1e-12). Where p comes from a sigmoid, {@link bceWithLogits} is exact and this is not.
 *
 * @param input probabilities in [0, 1], any shape
 * @param target probabilities, same shape
 * @param options `{ reduction = 'mean' }`
 * @throws DeconvError for an input outside [0, 1]
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { bceLoss } from 'deconv/nn';
 * console.log(bceLoss(tensor([0.5, 1]), tensor([1, 1])).item().toFixed(4)); // 0.3466
 * ```
 */
export function bceLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const op = 'bceLoss';
  checkOptions(op, options, ['reduction']);
  const [p, t] = operands(op, input, target);
  const at = p.data.findIndex((value) => !(value >= 0 && value <= 1));
  if (at >= 0) {
    refuse(
      op,
      'input',
      `input must be probabilities in [0, 1], got ${p.data[at]} at element ${at}`,
      'for values before the sigmoid use bceWithLogits',
    );
  }
  const bounded = (x: Tensor) => clamp(log(x), { min: LEAST_LOG });
  // 0 − x rather than −x: a loss of nothing is 0, not −0.
  const value = () => sub(0, add(mul(t, bounded(p)), mul(sub(1, t), bounded(sub(1, p)))));
  // The gradient is written down, not derived: at p = 0 and p = 1 the chain rule would give 0·∞.
  const vjp = (g: Tensor) => [
    p.requiresGrad ? mul(g, div(sub(p, t), maximum(mul(p, sub(1, p)), LEAST_VARIANCE))) : null,
    t.requiresGrad ? mul(g, sub(bounded(sub(1, p)), bounded(p))) : null,
  ];
  return scoped(() => reduced(op, record(op, noGrad(value), [p, t], vjp, [p, t]), options));
}

/**
 * Binary cross-entropy of values before the sigmoid: with p = sigmoid(x),
 *
 *     −t·ln p − (1 − t)·ln(1 − p) = t·softplus(−x) + (1 − t)·softplus(x)
 *
 * which neither overflows nor cancels. Gradient: sigmoid(x) − t.
 *
 * @param input logits, any shape
 * @param target probabilities, same shape
 * @param options `{ reduction = 'mean' }`
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { bceWithLogits } from 'deconv/nn';
 * const x = tensor([0, 200, -200]);
 * console.log(bceWithLogits(x, tensor([1, 0, 0]), { reduction: 'none' }).data[1]); // 200
 * ```
 */
export function bceWithLogits(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  const op = 'bceWithLogits';
  checkOptions(op, options, ['reduction']);
  const [x, t] = operands(op, input, target);
  const value = () => add(mul(t, softplus(neg(x))), mul(sub(1, t), softplus(x)));
  return scoped(() => reduced(op, value(), options));
}

/** The class of each picture or pixel: as many as `count`, integers in [0, classes). */
function readClasses(op: string, target: unknown, wanted: readonly number[], classes: number): number[] {
  const count = sizeOf(wanted);
  let list: readonly number[];
  if (Array.isArray(target)) {
    list = target;
  } else {
    const t = asTensor(op, 'target', target);
    if (t.dtype !== 'int32' && t.dtype !== 'uint8')
      refuse(op, 'target', `target must be class indices, int32, got ${t.dtype}`, "cast(target, 'int32')");
    if (!sameShape(t.shape, wanted)) {
      refuse(
        op,
        'target',
        `target ${showShape(t.shape)} must have shape ${showShape(wanted)}: that of the input without its classes`,
      );
    }
    list = Array.from(t.data);
  }
  if (list.length !== count)
    refuse(op, 'target', `target must name ${count} classes, shape ${showShape(wanted)}, got ${list.length}`);
  const bad = list.findIndex((index) => !(Number.isInteger(index) && index >= 0 && index < classes));
  if (bad >= 0) {
    refuse(
      op,
      'target',
      `target must be class indices in [0, ${classes - 1}], got ${show(list[bad])} at element ${bad}`,
    );
  }
  return [...list];
}

/**
 * Cross-entropy of values before the softmax against class indices: −logSoftmax(x)[class], the softmax taken over axis 1
 * with its largest value taken off first. Gradient: softmax(x) − 1 at the class, softmax(x) elsewhere.
 *
 * @param input logits (N, C, …)
 * @param target class of each, in [0, C): int32 of shape (N, …), or as many plain numbers in that order
 * @param options `{ reduction = 'mean' }`; the mean is over batch and space
 * @returns one number; (N, …) for reduction `'none'`
 * @throws DeconvError for an index outside the classes, or not as many as there are rows
 * @example
 * ```ts
 * import { tensor } from 'deconv';
 * import { crossEntropy } from 'deconv/nn';
 * const logits = tensor([[1, 1], [0, 1000]]);
 * console.log(crossEntropy(logits, [0, 1]).item().toFixed(4)); // 0.3466
 * ```
 */
export function crossEntropy(
  input: Tensor,
  target: Tensor | readonly number[],
  options: LossOptions = {},
): Tensor {
  const op = 'crossEntropy';
  checkOptions(op, options, ['reduction']);
  const x = asFloat(op, 'input', input);
  if (x.rank < 2)
    refuse(op, 'input', `input must be logits (N, C, …) of rank ≥ 2, got ${showShape(x.shape)}`);
  const [n, classes, ...space] = x.shape;
  const wanted = [n, ...space];
  const chosen = readClasses(op, target, wanted, classes);
  const plane = sizeOf(space);
  // Row i is picture i / plane, pixel i % plane; its logit of class c lies at (picture · classes + c) · plane + pixel.
  const places = chosen.map((c, i) => (Math.floor(i / plane) * classes + c) * plane + (i % plane));
  return scoped(() => {
    const rows = take(reshape(logSoftmax(x, 1), [x.size]), places);
    return reduced(op, sub(0, reshape(rows, wanted)), options);
  });
}

/** Options of {@link klDivergence}. */
export interface KlOptions {
  /** As {@link LossOptions}, and `'batchMean'`: the sum divided by the batch, which is the divergence proper. Default `'mean'`. */
  readonly reduction?: 'mean' | 'sum' | 'none' | 'batchMean' | undefined;
}

/**
 * Kullback–Leibler divergence of a distribution t from one given by its *logarithms* x (Kullback & Leibler 1951):
 * t·(ln t − x), 0 where t = 0. PyTorch's `kl_div`, and its defaults: `'mean'` divides by all values; the divergence of
 * distributions is `'batchMean'`.
 *
 * @param input log-probabilities, as logSoftmax gives them; any shape, batch first
 * @param target probabilities, same shape; a negative one gives NaN
 * @param options `{ reduction = 'mean' }`
 * @example
 * ```ts
 * import { logSoftmax, tensor } from 'deconv';
 * import { klDivergence } from 'deconv/nn';
 * const even = logSoftmax(tensor([[0, 0]]));
 * console.log(klDivergence(even, tensor([[1, 0]]), { reduction: 'batchMean' }).item().toFixed(4)); // 0.6931
 * ```
 */
export function klDivergence(input: Tensor, target: Tensor, options: KlOptions = {}): Tensor {
  const op = 'klDivergence';
  checkOptions(op, options, ['reduction']);
  const { reduction = 'mean' } = options;
  const [x, t] = operands(op, input, target);
  return scoped(() => {
    // Where t is 0 the term is 1·(ln 1 − 0): its value and gradients are 0 even if x is −∞ there.
    const nothing = equal(t, 0);
    const [logarithm, p] = [where(nothing, 0, x), where(nothing, 1, t)];
    const values = mul(p, sub(log(p), logarithm));
    if (reduction !== 'batchMean') {
      return reduced(op, values, { reduction }, [...REDUCTIONS, 'batchMean']);
    }
    if (x.rank === 0) refuse(op, 'input', "reduction 'batchMean' needs a batch axis, the input has rank 0");
    return div(sum(values), x.shape[0]);
  });
}
