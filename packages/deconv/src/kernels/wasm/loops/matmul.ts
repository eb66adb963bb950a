/**
 * Matrix products by the tiles of the convolutions: (m, k) · (k, n) is a convolution with a kernel of one tap from k to m
 * channels over a picture of n positions. Each matrix of a batch has its own left operand, so the batch is the groups.
 */
import type { OpTable } from '../../../backend.js';
import { convGeometry } from '../../../geometry/conv.js';
import { planDense } from '../dense-plan.js';
import { forwardProblem, type Problem } from '../problem.js';
import type { Loop } from './ground.js';
import { copyView } from './views.js';

/** The convolution whose weight is the left operand. */
function problemOf(m: number, n: number, k: number, transposed: boolean): Problem {
  const problem = forwardProblem(convGeometry([1, k, n], [m, k, 1]));
  return transposed ? { ...problem, weightOut: 1, weightIn: m } : problem;
}

/** (a, b) → batch × (m, k) · (k, n), each stored transposed if so flagged. */
export const matmul: Loop<OpTable['matmul']> = (ground, [a, b], attributes) => {
  const { batch, m, n, k, transposeA, transposeB } = attributes;
  const { engine, residency } = ground;
  // One column is one row of the transposed product, which fills the tiles better.
  if (n === 1 && m > 1)
    return matmul(ground, [b, a], {
      ...attributes,
      m: n,
      n: m,
      transposeA: !transposeB,
      transposeB: !transposeA,
    });
  if (batch * m * n * k === 0) {
    const { storage, at } = ground.result(batch * m * n);
    ground.floats(at, batch * m * n).fill(0);
    return storage;
  }
  const loaded = engine.plan(`matmul|${batch},${m},${n},${k},${transposeA}`, () => {
    const { tile, kernels } = engine;
    return planDense(problemOf(m, n, k, transposeA), 1, batch, {
      tile,
      commands: kernels.commands,
      bias: false,
      scale: false,
    });
  });
  const weight = ground.at(a);
  let input = ground.at(b);
  if (transposeB) {
    const turned = residency.room(4 * batch * k * n);
    const strides = [k * n, 1, k];
    copyView(ground, [batch, k, n], { at: input, strides }, { at: turned, strides: [k * n, n, 1] });
    input = turned;
  }
  const packed = residency.room(loaded.plan.packedBytes);
  const { storage, at } = ground.result(batch * m * n);
  engine.run(loaded, { input, weight, bias: 0, packed, output: at, scale: 0 }, 0);
  return storage;
};
