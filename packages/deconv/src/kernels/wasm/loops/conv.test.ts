/** What the convolutions leave to the reference. */
import { expect, it } from 'vitest';
import { convTranspose1d, convTranspose2d, ones, sum } from '../../../index.js';

it('a stride of more phases than a plan should have is scattered by the reference', () => {
  const line = convTranspose1d(ones([1, 2, 3]), ones([2, 1, 4]), { stride: 100_000, padding: 1 });
  expect(line.shape).toEqual([1, 1, 200_002]);
  expect([line.data[0], line.data[2], line.data[3], line.data[99_999], line.data[200_001]]).toEqual([
    2, 2, 0, 2, 2,
  ]);
  const plane = convTranspose2d(ones([1, 1, 2, 2]), ones([1, 1, 3, 3]), { stride: [200, 200] });
  expect([plane.shape, sum(plane).item()]).toEqual([[1, 1, 203, 203], 36]);
});
