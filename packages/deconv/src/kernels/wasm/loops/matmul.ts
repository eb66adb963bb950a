/**
 * Matrix products by the tiles of the convolutions (product.ts), or row by row where one operand has few. Each matrix of a batch has
 * its own left operand, so the batch is the groups.
 */
import type { OpTable } from '../../../backend.js';
import { dotRows, ROWS } from '../dot-kernel.js';
import type { Ground, Loop } from './ground.js';
import { product } from './product.js';
import { copyView } from './views.js';

/** A matrix that meets this many vectors or fewer is read where it lies. */
const FEW = 16;
/** Multiplications that one call of a kernel makes, about. */
const CALL = 1 << 18;

/** c (m, n) = rows of a by rows of b, k floats each, where either has few: the addresses of the three. */
function multiplyRows(
  { kernels }: Ground,
  a: number,
  b: number,
  c: number,
  [m, n, k]: readonly number[],
): void {
  const [matrix, rows, stepRow, vectors, count, stepVector] =
    n >= m ? [b, n, 4, a, m, 4 * n] : [a, m, 4 * n, b, n, 4];
  const most = ROWS * Math.max(1, Math.floor(CALL / (ROWS * k * count)));
  const call = (first: number, fours: number) =>
    kernels.call(
      dotRows,
      c + stepRow * first,
      stepRow,
      stepVector,
      matrix + 4 * k * first,
      4 * k,
      fours,
      vectors,
      4 * k,
      count,
      k,
    );
  const whole = rows - (rows % ROWS);
  for (let row = 0; row < whole; row += most) call(row, Math.min(most, whole - row));
  // Rows come in fours; the last four start earlier, some are made twice.
  if (whole < rows) call(rows - ROWS, ROWS);
}

/** (a, b) → batch × (m, k) · (k, n), each stored transposed if so flagged. */
export const matmul: Loop<OpTable['matmul']> = (ground, [a, b], attributes) => {
  const { batch, m, n, k, transposeA, transposeB } = attributes;
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
  const rowsByRows = (!transposeA || m === 1) && (transposeB || n === 1);
  if (rowsByRows && Math.min(m, n) <= FEW && Math.max(m, n) >= ROWS) {
    const [left, right] = [ground.at(a), ground.at(b)];
    const { storage, at } = ground.result(batch * m * n);
    ground.kernels.shared(batch * m * n * k, true, () => {
      for (let i = 0; i < batch; i++)
        multiplyRows(ground, left + 4 * i * m * k, right + 4 * i * n * k, at + 4 * i * m * n, [m, n, k]);
    });
    return storage;
  }
  const left = ground.at(a);
  let right = ground.at(b);
  if (transposeB) {
    const turned = ground.residency.room(4 * batch * k * n);
    const strides = [k * n, 1, k];
    copyView(ground, [batch, k, n], { at: right, strides }, { at: turned, strides: [k * n, n, 1] });
    right = turned;
  }
  return product(ground, [m, n, k], left, right, batch, transposeA).storage;
};
