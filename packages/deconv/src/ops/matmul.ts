/** matmul: matrix products, batched and broadcast. */
import { record, run } from '../autograd.js';
import { refuse } from '../errors.js';
import * as operation from '../operations.js';
import { broadcastShapes, type Shape, showShape, sizeOf } from '../shape.js';
import { scoped, type Tensor } from '../tensor.js';
import { tracer } from '../trace.js';
import { asFloat, sameType } from './input.js';
import { expand, reshape } from './layout.js';

/** (batch, rows, columns) product; the flags say that an operand is stored transposed. */
function product(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  const [batch, m, k] = transposeA ? [a.shape[0], a.shape[2], a.shape[1]] : a.shape;
  const n = transposeB ? b.shape[1] : b.shape[2];
  const output = run(operation.matmul, [a, b], { batch, m, n, k, transposeA, transposeB }, [batch, m, n]);
  // c = A·B with A = a or aᵀ, B = b or bᵀ: dA = g·Bᵀ and dB = Aᵀ·g, each transposed again for a flagged operand.
  const vjp = (g: Tensor) => [
    !a.requiresGrad ? null : transposeA ? product(b, g, transposeB, true) : product(g, b, false, !transposeB),
    !b.requiresGrad ? null : transposeB ? product(g, a, true, transposeA) : product(a, g, !transposeA, false),
  ];
  return record('matmul', output, [a, b], vjp, [b.requiresGrad && a, a.requiresGrad && b]);
}

/**
 * Matrix product over the last two axes, as NumPy has it: leading axes broadcast; an operand of rank 1 is a row on the
 * left or a column on the right, and its axis is dropped from the result.
 *
 * @throws DeconvError when the inner lengths differ, or an operand has rank 0
 * @example
 * ```ts
 * import { matmul, tensor } from 'deconv';
 * console.log(matmul(tensor([[1, 2], [3, 4]]), tensor([5, 6])).toArray()); // [ 17, 39 ]
 * ```
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const op = 'matmul';
  const [left, right] = [asFloat(op, 'a', a), asFloat(op, 'b', b)];
  sameType(op, { a: left, b: right });
  if (left.rank === 0 || right.rank === 0)
    refuse(op, 'a', 'matmul needs operands of rank ≥ 1, use mul for numbers');
  const p = left.rank === 1 ? [1, left.shape[0]] : left.shape;
  const q = right.rank === 1 ? [right.shape[0], 1] : right.shape;
  const [m, k] = p.slice(-2);
  const [k2, n] = q.slice(-2);
  if (k !== k2) {
    refuse(
      op,
      'b',
      `inner lengths must agree, got ${k} of ${showShape(left.shape)} and ${k2} of ${showShape(right.shape)}`,
    );
  }
  const lead = broadcastShapes(op, p.slice(0, -2), q.slice(0, -2));
  const stack = (x: Tensor, shape: Shape) => {
    const whole = [...lead, ...shape.slice(-2)];
    return reshape(expand(reshape(x, shape), whole), [sizeOf(lead), ...shape.slice(-2)]);
  };
  // A right operand without a batch of its own meets all rows of the left one at once: nothing is repeated.
  const multiply = () =>
    sizeOf(q.slice(0, -2)) === 1
      ? product(reshape(left, [1, sizeOf(lead) * m, k]), reshape(right, [1, k, n]), false, false)
      : product(stack(left, p), stack(right, q), false, false);
  const shape = [...lead, ...(left.rank === 1 ? [] : [m]), ...(right.rank === 1 ? [] : [n])];
  return scoped(() => {
    const output = reshape(multiply(), shape);
    tracer?.('matrixProduct', [left, right], [output], {});
    return output;
  });
}
