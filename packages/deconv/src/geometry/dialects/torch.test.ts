/** PyTorch against an independent model of it: values, not shapes, so that a shift by one pixel fails. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type A,
  at,
  correlate,
  ext,
  fill,
  fits,
  flip,
  I,
  insertZeros,
  type Layer,
  layer,
  make,
  O,
  pad,
  pair,
  permute,
  run,
  through,
} from '../../../../../test/support/tiny-arrays.js';

describe('torch', () => {
  const cases = layer.chain((c) => fc.record({ c: fc.constant(c), p: pair(0, 4), extra: pair(0, 3) }));

  it('conv: pads both sides, then correlates', () => {
    run(cases, ({ c, p }: { c: Layer; p: number[] }) => {
      fc.pre(fits([0, 1].map((a) => c.n[a] + 2 * p[a] - ext(c.k[a], c.d[a]) + 1)));
      const [x, w] = [fill([1, I, ...c.n], c.seed), fill([O, I, ...c.k], c.seed + 1)];
      const theirs = correlate(
        pad(x, [
          [p[0], p[0]],
          [p[1], p[1]],
        ]),
        w,
        c.s,
        c.d,
      );
      expect(through('torch', 'conv', x, w, { stride: c.s, padding: p, dilation: c.d })).toEqual(theirs);
    });
  });

  it('convTranspose: zeros inserted, d(k−1)−p around, flipped kernel, output_padding after', () => {
    run(cases, ({ c, p, extra }: { c: Layer; p: number[]; extra: number[] }) => {
      const op = extra.map((e, a) => e % Math.max(c.s[a], c.d[a]));
      fc.pre(fits([0, 1].map((a) => (c.n[a] - 1) * c.s[a] - 2 * p[a] + ext(c.k[a], c.d[a]) + op[a])));
      const [x, w] = [fill([1, I, ...c.n], c.seed), fill([I, O, ...c.k], c.seed + 1)];
      const around = [0, 1].map((a) => [
        ext(c.k[a], c.d[a]) - 1 - p[a],
        ext(c.k[a], c.d[a]) - 1 - p[a] + op[a],
      ]);
      const theirs = correlate(pad(insertZeros(x, c.s), around), permute(flip(w), [1, 0, 2, 3]), [1, 1], c.d);
      const options = { stride: c.s, padding: p, dilation: c.d, output_padding: op };
      expect(through('torch', 'convTranspose', x, w, options)).toEqual(theirs);
      const sized = { stride: c.s, padding: p, dilation: c.d, output_size: theirs.shape.slice(2) };
      expect(through('torch', 'convTranspose', x, w, sized)).toEqual(theirs);
    });
  });

  it("conv: padding 'same' puts the odd zero after", () => {
    const [x, w] = [fill([1, I, 5, 6], 3), fill([O, I, 4, 3], 4)];
    const theirs = correlate(
      pad(x, [
        [1, 2],
        [2, 2],
      ]),
      w,
      [1, 1],
      [1, 2],
    );
    expect(through('torch', 'conv', x, w, { padding: 'same', dilation: [1, 2] })).toEqual(theirs);
  });

  it('groups', () => {
    const [x, w] = [fill([1, 4, 3, 3], 5), fill([4, 3, 2, 2], 6)];
    const y = through('torch', 'convTranspose', x, w, { stride: 2, groups: 2 });
    const part = (a: A, axis: number, from: number, to: number) =>
      make(
        a.shape.map((v, j) => (j === axis ? to - from : v)),
        (...index) => at(a, ...index.map((v, j) => (j === axis ? v + from : v))),
      );
    for (const g of [0, 1]) {
      const own = through(
        'torch',
        'convTranspose',
        part(x, 1, 2 * g, 2 * g + 2),
        part(w, 0, 2 * g, 2 * g + 2),
        { stride: 2 },
      );
      expect(part(y, 1, 3 * g, 3 * g + 3)).toEqual(own);
    }
  });
});
