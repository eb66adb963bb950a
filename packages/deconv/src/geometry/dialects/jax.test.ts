/** JAX against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  correlate,
  ext,
  fill,
  fits,
  flip,
  I,
  insertZeros,
  type Layer,
  layer,
  O,
  pad,
  pair,
  permute,
  run,
  tfSame,
  through,
  toNCHW,
  toNHWC,
} from '../../../../../test/support/tiny-arrays.js';
import { fromDialect } from './index.js';

describe('jax', () => {
  const some = fc.record({
    c: layer,
    mode: fc.constantFrom('SAME', 'VALID', 'pairs'),
    p: fc.tuple(pair(-1, 4), pair(-1, 4)),
    transpose: fc.boolean(),
  });

  it('conv_transpose: lhs_dilation, zeros around, the kernel as it stands', () => {
    run(some, ({ c, mode, p, transpose }: { c: Layer; mode: string; p: number[][]; transpose: boolean }) => {
      const pads = [0, 1].map((a) => {
        const e = ext(c.k[a], c.d[a]);
        if (mode === 'pairs') return p[a];
        const length = mode === 'SAME' ? e + c.s[a] - 2 : e + c.s[a] - 2 + Math.max(e - c.s[a], 0);
        const before = mode === 'VALID' || c.s[a] > e - 1 ? e - 1 : Math.ceil(length / 2);
        return [before, length - before];
      });
      fc.pre(
        fits(
          [0, 1].map((a) => (c.n[a] - 1) * c.s[a] + 1 + pads[a][0] + pads[a][1] - ext(c.k[a], c.d[a]) + 1),
        ),
      );
      const x = fill([1, ...c.n, I], c.seed);
      const w = transpose ? fill([...c.k, O, I], c.seed + 1) : fill([...c.k, I, O], c.seed + 1);
      // transpose_kernel exchanges I and O and reverses the spatial axes before the same correlation.
      const kernel = transpose ? flip(permute(w, [2, 3, 0, 1])) : permute(w, [3, 2, 0, 1]);
      const theirs = toNHWC(correlate(pad(insertZeros(toNCHW(x), c.s), pads), kernel, [1, 1], c.d));
      const options = {
        strides: c.s,
        padding: mode === 'pairs' ? p : mode,
        rhs_dilation: c.d,
        transpose_kernel: transpose,
        kernelSize: c.k,
      };
      expect(through('jax', 'convTranspose', x, w, options)).toEqual(theirs);
    });
  });

  it('conv_general_dilated with lhs_dilation: the same in NCHW and OIHW', () => {
    const [x, w] = [fill([1, I, 3, 4], 1), fill([O, I, 3, 2], 2)];
    const theirs = correlate(
      pad(insertZeros(x, [2, 3]), [
        [1, 2],
        [0, 1],
      ]),
      w,
      [1, 1],
      [1, 2],
    );
    const options = {
      lhs_dilation: [2, 3],
      padding: [
        [1, 2],
        [0, 1],
      ],
      rhs_dilation: [1, 2],
      kernelSize: [3, 2],
    };
    expect(through('jax', 'convTranspose', x, w, options)).toEqual(theirs);
  });

  it('use_consistent_padding: pairs crop', () => {
    const t = fromDialect('jax', 'convTranspose', {
      strides: [2],
      padding: [[1, 0]],
      use_consistent_padding: true,
    });
    expect(t.options.padding).toEqual([[1, 0]]);
  });

  it('conv_general_dilated: SAME, SAME_LOWER, pairs, and any dimension_numbers', () => {
    run(fc.record({ c: layer, lower: fc.boolean() }), ({ c, lower }: { c: Layer; lower: boolean }) => {
      const [x, w] = [fill([1, ...c.n, I], c.seed), fill([...c.k, I, O], c.seed + 1)];
      const pads = [0, 1]
        .map((a) => tfSame(c.n[a], ext(c.k[a], c.d[a]), c.s[a]))
        .map(([b, a]) => (lower ? [a, b] : [b, a]));
      const theirs = toNHWC(correlate(pad(toNCHW(x), pads), permute(w, [3, 2, 0, 1]), c.s, c.d));
      const base = { window_strides: c.s, rhs_dilation: c.d, dimension_numbers: ['NHWC', 'HWIO', 'NHWC'] };
      const named = { ...base, padding: lower ? 'SAME_LOWER' : 'SAME', inputSize: c.n, kernelSize: c.k };
      expect(through('jax', 'conv', x, w, named)).toEqual(theirs);
      expect(through('jax', 'conv', x, w, { ...base, padding: pads })).toEqual(theirs);
    });
  });
});
