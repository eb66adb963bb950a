/**
 * pca: the best that a linear code can do. With the mean of the training pictures taken off, the K directions in which
 * they vary most are found by subspace iteration, Q ← orth(Xᵀ·(X·Q)) (Golub & Van Loan, Matrix Computations, 8.2.4), and
 * other pictures are projected on them: x ← μ + Q·Qᵀ·(x − μ). Q is made orthonormal by Cholesky's QR, Q·R⁻¹ with
 * RᵀR = QᵀQ, several times over, since single precision loses half of its digits in QᵀQ.
 */
import { add, matmul, mean, mul, permute, randn, reshape, sub, tensor, transpose } from 'deconv';

/** @typedef {import('deconv').Tensor} Tensor */

const ROUNDS = 12;

/** R⁻¹ of RᵀR = gram + shift·I, upper triangular, in float64. @param {Tensor} gram @param {number} shift */
function inverseRoot(gram, shift) {
  const n = gram.shape[0];
  const lower = Float64Array.from(gram.data);
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = lower[i * n + j] + (i === j ? shift : 0);
      for (let k = 0; k < j; k++) sum -= lower[i * n + k] * lower[j * n + k];
      if (i === j && sum <= 0) throw new Error(`${n} directions are more than the pictures have`);
      lower[i * n + j] = i === j ? Math.sqrt(sum) : sum / lower[j * n + j];
    }
  }
  // L·Z = I, row by row; R⁻¹ = Zᵀ.
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = inverse.subarray(i * n, (i + 1) * n);
    row[i] = 1;
    for (let k = 0; k < i; k++) {
      const factor = lower[i * n + k];
      for (let j = 0; j <= k; j++) row[j] -= factor * inverse[k * n + j];
    }
    for (let j = 0; j <= i; j++) row[j] /= lower[i * n + i];
  }
  return transpose(tensor(Float32Array.from(inverse), [n, n]));
}

/** Columns of the same span, orthonormal. @param {Tensor} columns */
function orthonormal(columns) {
  let q = columns;
  for (const shift of [1e-4, 0, 0]) {
    const n = q.shape[1];
    const lengths = Float32Array.from(
      mean(mul(q, q), { axis: 0 }).data,
      (x) => 1 / Math.sqrt(x * q.shape[0]),
    );
    q = mul(q, tensor(lengths, [1, n]));
    q = matmul(q, inverseRoot(matmul(transpose(q), q), shift));
  }
  return q;
}

/**
 * What the K principal components of `seen` keep of `unseen`.
 *
 * @param {Tensor} seen (N, D), N > K
 * @param {Tensor} unseen (M, D)
 * @param {number} count K
 */
export function principalPart(seen, unseen, count) {
  const middle = mean(seen, { axis: 0, keepDims: true });
  const x = sub(seen, middle);
  const xt = transpose(x);
  let q = orthonormal(randn([x.shape[1], count], { seed: 1 }));
  for (let round = 0; round < ROUNDS; round++) q = orthonormal(matmul(xt, matmul(x, q)));
  return add(middle, matmul(matmul(sub(unseen, middle), q), transpose(q)));
}

/**
 * Pictures (N, 3, H, W) as rows of their blocks (N·H/b·W/b, 3·b²), and back.
 *
 * @param {number} side b
 */
export function blocksOf(side) {
  return {
    /** @param {Tensor} x */
    there(x) {
      const [n, c, h, w] = x.shape;
      const parts = reshape(x, [n, c, h / side, side, w / side, side]);
      return reshape(permute(parts, [0, 2, 4, 1, 3, 5]), [(n * h * w) / side ** 2, c * side ** 2]);
    },
    /** @param {Tensor} rows @param {readonly number[]} shape */
    back(rows, [n, c, h, w]) {
      const parts = reshape(rows, [n, h / side, w / side, c, side, side]);
      return reshape(permute(parts, [0, 3, 1, 4, 2, 5]), [n, c, h, w]);
    },
  };
}
