/** nearest: how far the pictures of one set are from those of another. */
import { add, matmul, mean, min, mul, reshape, square, sub, sum, transpose } from 'deconv';

/** @typedef {import('deconv').Tensor} Tensor */

/**
 * Mean squared difference, per pixel, of each picture in `from` to the nearest in `to`.
 *
 * @param {Tensor} from (N, …)
 * @param {Tensor} to (M, …)
 */
export function nearest(from, to) {
  const size = from.size / from.shape[0];
  const [a, b] = [from, to].map((x) => reshape(x, [x.shape[0], size]));
  const lengths = (/** @type {Tensor} */ x) => sum(square(x), { axis: 1, keepDims: true });
  // |a − b|² = |a|² + |b|² − 2ab, for all pairs at once.
  const squares = sub(add(lengths(a), transpose(lengths(b))), mul(matmul(a, transpose(b)), 2));
  return mean(min(squares, 1)).item() / size;
}
