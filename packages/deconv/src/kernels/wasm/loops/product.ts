/** product: products of matrices by the kernels of the convolutions, of which they are those with a kernel of one tap. */
import * as BASE from '../bases.js';
import { planDense } from '../dense-plan.js';
import { matrixProblem } from '../problem.js';
import type { WasmStorage } from '../storage.js';
import type { Ground } from './ground.js';

/**
 * (m, k) · (k, n), `batch` times, and where the result lies. The left operand, which may be stored transposed, is packed anew each time.
 *
 * @param left address of the first operands, one behind the other, as those on the right
 */
export function product(
  ground: Ground,
  [m, n, k]: readonly [m: number, n: number, k: number],
  left: number,
  right: number,
  batch = 1,
  transposed = false,
): { storage: WasmStorage; at: number } {
  const { engine } = ground;
  const loaded = engine.plan(`product|${[m, n, k, batch, transposed]}`, () =>
    planDense(matrixProblem(m, n, k, transposed), 1, batch, engine),
  );
  const packed = engine.residency.room(loaded.plan.packedBytes);
  const result = ground.result(batch * m * n);
  const addresses = {
    [BASE.input]: right,
    [BASE.weight]: left,
    [BASE.packed]: packed,
    [BASE.output]: result.at,
  };
  engine.run(loaded, addresses, 0);
  return result;
}
