/** tinynet against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import { describe, expect, it } from 'vitest';
import {
  add,
  at,
  correlate,
  each,
  fill,
  pad,
  through,
  zeros,
} from '../../../../../test/support/tiny-arrays.js';

describe('tinynet', () => {
  it('Deconv2D: the weight read as (in, n_filters, k, k), rows of products scattered, one row cropped', () => {
    for (const padding of [0, 1]) {
      const [x, w] = [fill([1, 2, 3, 3], 1), fill([2, 2, 3, 3], 2)];
      const [s, d] = [2, 2];
      // (in) × (in, n_filters·k·k): the plain matrix product of its forward pass.
      const full = zeros(1, 2, 2 * s + 5, 2 * s + 5);
      each([3, 3], (i, j) => {
        for (let column = 0; column < 2 * 9; column++) {
          let product = 0;
          for (let c = 0; c < 2; c++) product += at(x, 0, c, i, j) * w.data[c * 18 + column];
          const [o, u, v] = [Math.floor(column / 9), Math.floor((column % 9) / 3), column % 3];
          add(full, product, 0, o, i * s + u * d, j * s + v * d);
        }
      });
      const theirs = pad(full, [
        [-padding, -padding],
        [-padding, -padding],
      ]);
      expect(through('tinynet', 'convTranspose', x, w, { stride: s, dilation: d, padding })).toEqual(theirs);
    }
  });

  it('Conv2D', () => {
    const [x, w] = [fill([1, 2, 5, 5], 3), fill([3, 2, 2, 2], 4)];
    const theirs = correlate(
      pad(x, [
        [1, 1],
        [1, 1],
      ]),
      w,
      [2, 2],
      [1, 1],
    );
    expect(through('tinynet', 'conv', x, w, { stride: 2, padding: 1 })).toEqual(theirs);
  });
});
