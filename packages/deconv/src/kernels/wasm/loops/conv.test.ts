/** What the convolutions leave to the reference. */
import { expect, it } from 'vitest';
import { conv1d, convTranspose1d, convTranspose2d, ones, sum } from '../../../index.js';

it('a stride of more phases than a plan should have is scattered by the reference', () => {
  const line = convTranspose1d(ones([1, 2, 3]), ones([2, 1, 4]), { stride: 100_000, padding: 1 });
  expect(line.shape).toEqual([1, 1, 200_002]);
  expect([line.data[0], line.data[2], line.data[3], line.data[99_999], line.data[200_001]]).toEqual([
    2, 2, 0, 2, 2,
  ]);
  const plane = convTranspose2d(ones([1, 1, 2, 2]), ones([1, 1, 3, 3]), { stride: [200, 200] });
  expect([plane.shape, sum(plane).item()]).toEqual([[1, 1, 203, 203], 36]);
});

it('so is a kernel whose taps span more than a band of work space holds', () => {
  const dilation = 8192;
  // Each output meets all 100 inputs through one tap or none, 64 channels each.
  const spread = convTranspose1d(ones([1, 64, 100]), ones([64, 1, 3]), { dilation });
  expect([spread.shape, sum(spread).item()]).toEqual([[1, 1, 100 + 2 * dilation], 64 * 300]);
  const same = conv1d(ones([1, 64, 100]), ones([1, 64, 3]), { dilation, padding: dilation });
  expect([same.shape, same.data[0], same.data[99]]).toEqual([[1, 1, 100], 64, 64]);
});
