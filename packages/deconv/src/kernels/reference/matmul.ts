/** Matrix product and softmax by their definitions. */
import type { OpTable } from '../../backend.js';

type Values = ArrayLike<number>;

/** c[q, i, j] = Σₚ a[q, i, p] · b[q, p, j], each operand stored transposed if flagged. */
export function matmul([a, b]: readonly Values[], attributes: OpTable['matmul']): Float64Array {
  const { batch, m, n, k, transposeA, transposeB } = attributes;
  const out = new Float64Array(batch * m * n);
  for (let q = 0; q < batch; q++) {
    for (let i = 0; i < m; i++) {
      for (let p = 0; p < k; p++) {
        const left = a[q * m * k + (transposeA ? p * m + i : i * k + p)];
        const row = (q * m + i) * n;
        for (let j = 0; j < n; j++)
          out[row + j] += left * b[q * k * n + (transposeB ? j * k + p : p * n + j)];
      }
    }
  }
  return out;
}

/** Softmax along the middle axis of (outer, length, inner): eˣ / Σeˣ with the largest x taken off first. */
export function softmax([x]: readonly Values[], attributes: OpTable['softmax']): Float64Array {
  const { outer, length, inner, log } = attributes;
  const out = new Float64Array(outer * length * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const start = o * length * inner + i;
      let largest = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < length; j++) largest = Math.max(largest, x[start + j * inner]);
      let total = 0;
      for (let j = 0; j < length; j++) total += Math.exp(x[start + j * inner] - largest);
      for (let j = 0; j < length; j++) {
        const at = start + j * inner;
        out[at] = log ? x[at] - largest - Math.log(total) : Math.exp(x[at] - largest) / total;
      }
    }
  }
  return out;
}
