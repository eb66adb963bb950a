/** shapes: the drawn set of deconv/nn as whole tensors, so that each picture is drawn once and not once an epoch. */
import { cast, greater, reshape } from 'deconv';
import { batches, syntheticShapes } from 'deconv/nn';

/**
 * @param {number} count how many pictures
 * @param {import('deconv/nn').SyntheticShapesOptions} options size, seed, classes
 * @returns {Promise<import('deconv').Tensor[]>} pictures (count, 3, size, size) in 0 … 1, classes (count), and for each
 *   pixel (count, size, size): 0 for ground, 1 + class for a figure
 */
export async function shapes(count, options) {
  for await (const whole of batches(syntheticShapes(count, options), { batchSize: count })) return whole;
  return [];
}

/**
 * Small silhouettes: 1 where there is a figure, 0 elsewhere.
 *
 * @param {number} count
 * @param {number} seed
 * @returns {Promise<import('deconv').Tensor>} (count, 1, 16, 16)
 */
export async function silhouettes(count, seed) {
  const [, , masks] = await shapes(count, { size: 16, seed });
  return reshape(cast(greater(masks, 0), 'float32'), [count, 1, 16, 16]);
}
